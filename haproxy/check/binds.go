// SPDX-License-Identifier: Apache-2.0

package check

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"podgate/haproxy"
)

// Taken is why HAProxy cannot listen on addresses of a configuration that it can do
// without.
type Taken struct {
	Backends map[string]string // by Backend of a TCP frontend
	Relay    string            // of Frontend.Relay; "" if it can listen there
}

// Binds probes the addresses on which want listens and loaded does not: a reload
// with an address that is taken would cost seconds of refused connections on all
// other addresses. It returns an error if an address is taken that HAProxy cannot
// do without, such as that of a frontend that many Services share.
func Binds(loaded, want []haproxy.Frontend, probe func(netip.AddrPort) error) (Taken, error) {
	held := map[netip.AddrPort]bool{}
	for _, f := range loaded {
		for _, addr := range f.Binds {
			held[addr] = true
		}
		held[f.Relay], held[f.TLSLoopback] = true, true
	}
	taken := Taken{Backends: map[string]string{}}
	for _, f := range want {
		if f.Relay.IsValid() && !held[f.Relay] {
			if err := probe(f.Relay); err != nil {
				taken.Relay = err.Error()
			}
		}
		addrs := f.Binds
		if f.TLSLoopback.IsValid() {
			addrs = append([]netip.AddrPort{f.TLSLoopback}, addrs...)
		}
		for _, addr := range addrs {
			if held[addr] {
				continue
			}
			err := probe(addr)
			switch {
			case err == nil:
			case f.Backend == "":
				return Taken{}, fmt.Errorf("frontend %s: %w", f.Name, err)
			default:
				taken.Backends[f.Backend] = err.Error()
			}
		}
	}
	return taken, nil
}

// WithPeer returns frontends and one more for the address on which the HAProxy
// whose peer name is local listens for other edge nodes, if s has such a peer.
func WithPeer(frontends []haproxy.Frontend, s haproxy.Settings, local string) []haproxy.Frontend {
	for _, p := range s.Peers {
		if p.Name == local {
			frontends = append(slices.Clone(frontends), haproxy.Frontend{Name: "peers", Binds: []netip.AddrPort{p.Addr}})
		}
	}
	return frontends
}

// Probe returns the error of listening on addr for a moment. It returns nil for
// a port that only root may listen on, as HAProxy's master does.
func Probe(addr netip.AddrPort) error {
	err := listen(addr)
	if errors.Is(err, syscall.EACCES) {
		return nil
	}
	return err
}

// ProbeOrSearch is Probe that searches the sockets of this machine for a listener
// on a port that only root may listen on.
func ProbeOrSearch(addr netip.AddrPort) error {
	err := listen(addr)
	if errors.Is(err, syscall.EACCES) {
		return searchListener(addr)
	}
	return err
}

func listen(addr netip.AddrPort) error {
	network := "tcp4"
	if addr.Addr().Is6() {
		network = "tcp6"
	}
	listener, err := net.Listen(network, addr.String())
	if err != nil {
		return err
	}
	return listener.Close()
}

// searchListener returns the error that listening on addr would end with, as far
// as the list of sockets shows it: whether a socket on "::" accepts IPv4 too, it
// does not.
func searchListener(addr netip.AddrPort) error {
	listeners, err := Listeners("/proc/self/net")
	if err != nil {
		return nil // HAProxy's own attempt decides
	}
	for _, l := range listeners {
		if l.Addr.Addr().Is4() == addr.Addr().Is4() && Overlap(l.Addr, addr) {
			return fmt.Errorf("listen tcp %s: %w", addr, syscall.EADDRINUSE)
		}
	}
	return nil
}
