// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"podgate/haproxy"
)

// Cloud is what the load balancer in front does and expects.
type Cloud struct {
	Profile Profile
	// Proxy lists the listeners that expect a PROXY header from TrustedSources:
	// ProxyHTTP, ProxyHTTPS, ProxyTCP, or a TCP port as text; sorted.
	Proxy            []string
	TrustedSources   []netip.Prefix   // the load balancers, sorted
	ForwardedHops    int              // position of the client in X-Forwarded-For, from the end; zero ignores it
	TCPKeepAlive     time.Duration    // zero is the system's default
	HealthBinds      []netip.AddrPort // key "health_bind"; empty for none
	HealthProxyBinds []netip.AddrPort // key "health_proxy_bind"; empty for none
	HealthPath       string
	HealthSources    []netip.Prefix // sorted; empty for every address
	DrainWait        time.Duration  // how long the load balancer still sends clients
	DrainTimeout     time.Duration  // how long to wait for their sessions after DrainWait
}

func (c *Cloud) keys() []key {
	const s = "cloud"
	return []key{
		{s, "profile", profile(&c.Profile), immediately,
			"Type of the load balancer in front. A profile sets other keys; a key that is set in the file takes precedence. \"podgate check --print\" shows the values."},
		{s, "proxy", list(&c.Proxy, "list of \"http\", \"https\", \"tcp\" and TCP ports", proxyListener, quote, sortedListeners), immediately,
			"Listeners on which connections from trusted_sources begin with a PROXY header, version 1 or 2; \"tcp\" is every TCP port."},
		{s, "trusted_sources", networkList(&c.TrustedSources), immediately,
			"Networks from which the load balancer connects. Only its PROXY headers and, with forwarded_hops, its X-Forwarded headers are trusted."},
		{s, "forwarded_hops", integer(&c.ForwardedHops, 0, 10), immediately,
			"Position of the client's address in X-Forwarded-For, counted from the end: 1 is the last entry. With 0, the header is ignored."},
		{s, "tcp_keep_alive", duration(&c.TCPKeepAlive, 0, 2*time.Hour), immediately,
			"Idle time after which TCP keep-alive probes a client connection. Set it shorter than the idle timeout of a load balancer in front; 0s is the system's default."},
		{s, "health_bind", bindList(&c.HealthBinds), immediately,
			"Addresses on which HAProxy answers the health checks of a load balancer: with 200 while this node serves, with 503 before that and while it drains; empty for none."},
		{s, "health_proxy_bind", bindList(&c.HealthProxyBinds), immediately,
			"The same as health_bind, for health checks that begin with a PROXY header. An address of health_bind rejects these."},
		{s, "health_path", text(&c.HealthPath, "path of letters, digits and ._/-", healthPath), immediately,
			"Path of the health check. A check of this path with /NAME appended also requires a usable server in the backend NAME."},
		{s, "health_sources", networkList(&c.HealthSources), immediately,
			"Networks from which HAProxy accepts health checks; empty for every address."},
		{s, "drain_wait", duration(&c.DrainWait, 0, time.Hour), immediately,
			"How long the load balancer continues to send clients after its health check fails: somewhat more than its check interval times its failure threshold."},
		{s, "drain_timeout", duration(&c.DrainTimeout, 0, 24*time.Hour), immediately,
			"How long \"podgate drain --wait\" waits, after drain_wait, for sessions to end."},
	}
}

// The listeners by name.
const (
	ProxyHTTP  = "http"
	ProxyHTTPS = "https"
	ProxyTCP   = "tcp"
)

// proxyListener parses one of the names, or a port.
func proxyListener(v any) (string, error) {
	if s, ok := v.(string); ok && (s == ProxyHTTP || s == ProxyHTTPS || s == ProxyTCP) {
		return s, nil
	}
	r, err := ports(v)
	if err != nil || r.First != r.Last {
		return "", fmt.Errorf(`%s is not "http", "https", "tcp" or a port number`, literal(v))
	}
	return strconv.Itoa(int(r.First)), nil
}

func sortedListeners(v value, at []value, names []string) []string {
	names = distinct(v, at, names)
	slices.Sort(names)
	return names
}

// ExpectsProxy reports whether a listener, ProxyHTTP, ProxyHTTPS or ProxyTCP,
// accepts PROXY headers. The port is that of a TCP listener.
func (c *Cloud) ExpectsProxy(name string, port uint16) bool {
	return slices.Contains(c.Proxy, name) || name == ProxyTCP && slices.Contains(c.Proxy, strconv.Itoa(int(port)))
}

// healthPath parses a path without characters that have a meaning in HAProxy.
func healthPath(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return "", fmt.Errorf("%q does not begin with /", s)
	}
	return s, wordUpTo(s, "._/-", 128)
}

// networkList is a field of networks.
func networkList(p *[]netip.Prefix) field {
	return list(p, "list of networks", fromString(network), quoteStringer, sortedNetworks)
}

// network parses a CIDR or an address. It rejects host bits, because either they or
// the length are a mistake.
func network(s string) (netip.Prefix, error) {
	p, err := haproxy.ParseNetwork(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not a network (%w)", s, err)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has host bits set (write %q)", s, p.Masked())
	case p.Addr().Is4In6():
		return netip.Prefix{}, errors.New("is an IPv4-mapped IPv6 network (write it as IPv4)")
	}
	return p, nil
}

// sortedNetworks is a finish that rejects duplicates, and sorts.
func sortedNetworks(v value, at []value, networks []netip.Prefix) []netip.Prefix {
	networks = distinct(v, at, networks)
	if len(networks) > haproxy.MaxNetworks {
		v.reject("has %d networks; the maximum is %d", len(networks), haproxy.MaxNetworks)
		networks = networks[:haproxy.MaxNetworks]
	}
	slices.SortFunc(networks, haproxy.CompareNetworks)
	return networks
}

// checkCloud requires trusted_sources for the keys that depend on them.
func (d *document) checkCloud(c *Cloud) {
	if d.valid("cloud.trusted_sources", "cloud.proxy", "cloud.forwarded_hops") && len(c.TrustedSources) == 0 {
		switch {
		case c.ForwardedHops > 0:
			d.reject("cloud", "cloud.trusted_sources", "must list the networks of the load balancer, because forwarded_hops is %d", c.ForwardedHops)
		case len(c.Proxy) > 0:
			d.reject("cloud", "cloud.trusted_sources", "must list the networks of the load balancer, because proxy is set")
		}
	}
}
