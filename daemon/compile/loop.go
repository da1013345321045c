// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"slices"

	"podgate/daemon/config"
)

// A server that leads back to HAProxy makes a request use connections until none are
// left, and reaches frontends that clients cannot reach, past the rules of the first
// frontend. No key allows such a server.

// listener is an address on which HAProxy listens, or may listen when a Service claims a
// TCP port.
type listener struct {
	addr  netip.Addr // "0.0.0.0" and "::" are every address of their family
	ports config.PortRange
	text  string // "which listens on 0.0.0.0:80 (http.bind)"
}

// listeners returns all addresses on which HAProxy listens. Every TCP port that a
// Service may claim is one of them, claimed or not: a Service must not lose a server
// because another Service claims a port.
func listeners(cfg *config.Config, m *Machine) (all []listener) {
	add := func(addr netip.Addr, ports config.PortRange, verb, reason string) {
		text := netip.AddrPortFrom(addr, ports.First).String()
		if ports.Last != ports.First {
			text = fmt.Sprintf("%s-%d", text, ports.Last)
		}
		all = append(all, listener{addr, ports, fmt.Sprintf("which %s on %s (%s)", verb, text, reason)})
	}
	one := func(port uint16) config.PortRange { return config.PortRange{First: port, Last: port} }
	for _, l := range cfg.Listeners() {
		add(l.Addr.Addr(), one(l.Addr.Port()), "listens", l.Key)
	}
	for _, p := range cfg.Peers.Nodes {
		add(p.Addr.Addr(), one(p.Addr.Port()), "listens", "peers.nodes")
	}
	for _, addr := range cfg.TCP.Addresses {
		for _, s := range cfg.TCP.Services {
			add(addr, one(s.Listen), "listens", "tcp.service")
		}
		for _, ports := range cfg.TCP.AllowedPorts {
			add(addr, ports, "may listen", "tcp.allowed_ports")
		}
	}
	if m != nil {
		for _, b := range m.Binds {
			add(b.Addr, b.Ports, "listens", b.File)
		}
	}
	return all
}

// leadsBack returns why connections to addr reach HAProxy itself; "" if they do not.
func (in *input) leadsBack(addr netip.AddrPort, mode config.UpstreamMode) string {
	for _, l := range in.listeners {
		if l.ports.Contains(addr.Port()) && in.reaches(addr.Addr(), l.addr, mode) {
			return "leads back to HAProxy, " + l.text
		}
	}
	return ""
}

// reaches reports whether connections to an address reach a listener on another one.
func (in *input) reaches(a, listener netip.Addr, mode config.UpstreamMode) bool {
	switch {
	case a == listener:
		return true
	case a.Is6() && listener.Is4():
		return slices.ContainsFunc(embedded(a), func(v4 netip.Addr) bool { return in.reaches(v4, listener, mode) })
	case !listener.IsUnspecified() || a.Is4() != listener.Is4():
		return false
	}
	return a.IsLoopback() || a.IsUnspecified() || mode == config.UpstreamPod && slices.Contains(in.addresses, a)
}

// whyNoEndpoint is whyNoServer for the server of a claim, which must not be its own TCP
// frontend either.
func (in *input) whyNoEndpoint(c claim, addr netip.AddrPort) string {
	own := func(a netip.Addr) bool { return in.reaches(addr.Addr(), a, c.mode) }
	if c.listen != 0 && addr.Port() == c.listen && slices.ContainsFunc(in.TCP.Addresses, own) {
		return fmt.Sprintf("leads back to HAProxy, which listens on TCP port %d", c.listen)
	}
	return in.whyNoServer(addr, c.mode)
}
