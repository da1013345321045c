// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"net/netip"
	"strings"

	parser "github.com/haproxytech/client-native/v5/config-parser"
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// nodeHas is the condition that NodeMap contains a key.
func (d *document) nodeHas(key string) string {
	return fmt.Sprintf("{ str(%s),map(%s) -m found }", key, d.mapFile(haproxy.NodeMap))
}

// addHealth adds a frontend that answers the health checks of a load balancer. HAProxy
// answers by a map, without podgate: the check fails if HAProxy is down, but not if
// podgate is.
//
// A connection serves one check, so that no connection outlives a reload. A worker
// that is stopping forwards a check on a connection that was open already to the
// worker that serves. If HAProxy as a whole stops there is no such worker, and the
// client gets 503.
func (d *document) addHealth(f haproxy.Frontend) {
	d.addSection(parser.Frontends, f.Name, httpDefaults, &models.Frontend{Name: f.Name, HTTPConnectionMode: "httpclose"})
	d.addBinds(f)
	path := d.word("health path", f.Health.Path)
	answer := func(status int, text, condition string) string {
		return fmt.Sprintf("http-request return status %d content-type text/plain string \"%s\\n\" %s", status, text, condition)
	}
	var lines []string
	if len(f.Health.Sources) > 0 {
		lines = append(lines, "tcp-request connection reject if !{ src "+prefixes(append(ownAddresses(f.Binds), f.Health.Sources...))+" }")
	}
	lines = append(lines,
		"http-request set-log-level silent",
		answer(404, "404 this is no health check", fmt.Sprintf("unless { path %s } or { path_beg %s }", path, backendPath(path))),
		answer(503, "503 draining", "if "+d.nodeHas(haproxy.NodeDraining)+" !{ stopping }"),
		answer(503, "503 never in sync with the cluster", "unless "+d.nodeHas(haproxy.NodeServed)+" or { stopping }"),
		answer(503, "503 no usable server", fmt.Sprintf("if { path_beg %s } !{ path,regsub(^%s,),nbsrv gt 0 }%s !{ stopping }", backendPath(path), backendPath(path), d.notInSpare(path))),
		answer(200, "200 serving", "unless { stopping }"),
		"use_backend "+healthBackend(f)+" if { stopping }",
	)
	d.addLines(parser.Frontends, f.Name, lines)

	name := healthBackend(f)
	d.addSection(parser.Backends, name, httpDefaults, &models.Backend{Name: name})
	next := "server next " + reachable(f.Binds[0]).String() + " pool-max-conn 0"
	if f.Health.Proxy {
		next += " send-proxy-v2"
	}
	d.addLines(parser.Backends, name, []string{next})
}

func healthBackend(f haproxy.Frontend) string { return "podgate-next-" + f.Name }

// backendPath is the prefix of the paths that check one Backend.
func backendPath(path string) string { return strings.TrimSuffix(path, "/") + "/" }

// reachable returns the address at which this machine reaches a listener.
func reachable(addr netip.AddrPort) netip.AddrPort {
	switch addr.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port())
	}
	return addr
}

// ownAddresses returns the addresses from which a worker connects to the next one.
func ownAddresses(binds []netip.AddrPort) []netip.Prefix {
	var sources []netip.Prefix
	for _, b := range binds {
		a := reachable(b).Addr()
		sources = append(sources, netip.PrefixFrom(a, a.BitLen()))
	}
	return sources
}

// prefixes returns networks as the patterns of an ACL.
func prefixes(list []netip.Prefix) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return strings.Join(words, " ")
}

// closeWhileDraining returns the rule that closes the connection after each response
// while the node drains. A client that kept it open would not move to another node.
func (d *document) closeWhileDraining() string {
	return "http-after-response set-header Connection close if " + d.nodeHas(haproxy.NodeDraining)
}
