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

// node is a condition on what NodeMap tells of the node.
func (d *document) node(key string) string {
	return fmt.Sprintf("{ str(%s),map(%s) -m found }", key, d.mapFile(haproxy.NodeMap))
}

// addHealth adds a frontend that answers the health checks of a load balancer.
// HAProxy decides alone, by a map: a dead HAProxy fails the check, a dead podgate
// does not.
//
// A connection is for one check, so that none outlives a reload. One that was
// open and silent when its worker was told to stop is answered by the worker that
// serves, or, where there is none because HAProxy itself stops, with 503.
func (d *document) addHealth(f haproxy.Frontend) {
	d.addSection(parser.Frontends, f.Name, httpDefaults, &models.Frontend{Name: f.Name, HTTPConnectionMode: "httpclose"})
	d.addBinds(f)
	path := d.word("health path", f.Health.Path)
	answer := func(status int, text, condition string) string {
		return fmt.Sprintf("http-request return status %d content-type text/plain string \"%s\\n\" %s", status, text, condition)
	}
	var lines []string
	if len(f.Health.Sources) > 0 {
		lines = append(lines, "tcp-request connection reject if !{ src "+prefixes(append(self(f.Binds), f.Health.Sources...))+" }")
	}
	lines = append(lines,
		"http-request set-log-level silent",
		answer(404, "404 this is no health check", fmt.Sprintf("unless { path %s } or { path_beg %s }", path, below(path))),
		answer(503, "503 draining", "if "+d.node(haproxy.NodeDraining)+" !{ stopping }"),
		answer(503, "503 never in sync with the cluster", "unless "+d.node(haproxy.NodeServed)+" or { stopping }"),
		answer(503, "503 no usable server", fmt.Sprintf("if { path_beg %s } !{ path,regsub(^%s,),nbsrv gt 0 } !{ stopping }", below(path), below(path))),
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

// below is what the paths of single Backends begin with.
func below(path string) string { return strings.TrimSuffix(path, "/") + "/" }

// reachable is where this box itself reaches a listener.
func reachable(addr netip.AddrPort) netip.AddrPort {
	switch addr.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port())
	}
	return addr
}

// self are the addresses from which a worker asks the next one.
func self(binds []netip.AddrPort) []netip.Prefix {
	var sources []netip.Prefix
	for _, b := range binds {
		a := reachable(b).Addr()
		sources = append(sources, netip.PrefixFrom(a, a.BitLen()))
	}
	return sources
}

// prefixes is a list of networks as an ACL has it.
func prefixes(list []netip.Prefix) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return strings.Join(words, " ")
}

// closeWhileDraining has every answer end its connection while the node drains:
// a client that keeps one open would never go elsewhere.
func (d *document) closeWhileDraining() string {
	return "http-after-response set-header Connection close if " + d.node(haproxy.NodeDraining)
}
