// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"podgate/haproxy"
)

// preflight tries the addresses on which want listens and loaded does not: a
// reload with an address that is taken would cost seconds of refused
// connections on all the others. It returns what can be done without, with the
// reason: the backends of TCP frontends that cannot listen, and relay where that
// address is taken. The error tells of a frontend that many Services share.
func preflight(loaded, want []haproxy.Frontend, try func(netip.AddrPort) error) (map[string]string, error) {
	held := map[netip.AddrPort]bool{}
	for _, f := range loaded {
		for _, addr := range f.Binds {
			held[addr] = true
		}
		held[f.Relay], held[f.Inner] = true, true
	}
	taken := map[string]string{}
	for _, f := range want {
		if f.Relay.IsValid() && !held[f.Relay] {
			if err := try(f.Relay); err != nil {
				taken[relay] = fmt.Sprintf("preflight: %v", err)
			}
		}
		for _, addr := range append(inner(f), f.Binds...) {
			if held[addr] {
				continue
			}
			err := try(addr)
			switch {
			case err == nil:
			case f.Backend == "":
				return nil, fmt.Errorf("preflight: frontend %s: %w", f.Name, err)
			default:
				taken[f.Backend] = fmt.Sprintf("preflight: %v", err)
			}
		}
	}
	return taken, nil
}

// withPeer adds the address on which HAProxy, which goes by the name of local,
// will listen for other edge nodes, as a frontend that cannot be done without.
func withPeer(frontends []haproxy.Frontend, s haproxy.Settings, local string) []haproxy.Frontend {
	for _, p := range s.Peers {
		if p.Name == local {
			frontends = append(slices.Clone(frontends), haproxy.Frontend{Name: "peers", Binds: []netip.AddrPort{p.Addr}})
		}
	}
	return frontends
}

func inner(f haproxy.Frontend) []netip.AddrPort {
	if f.Inner.IsValid() {
		return []netip.AddrPort{f.Inner}
	}
	return nil
}

// tryListen listens on addr for a moment. A port that only root may take, as
// HAProxy's master does, cannot be tried.
func tryListen(addr netip.AddrPort) error {
	err := listen(addr)
	if errors.Is(err, syscall.EACCES) {
		return nil
	}
	return err
}

// tryListenOrLook is tryListen that looks at the sockets of this machine where
// it may not try.
func tryListenOrLook(addr netip.AddrPort) error {
	err := listen(addr)
	if errors.Is(err, syscall.EACCES) {
		return lookForListener(addr)
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

// lookForListener returns what listening on addr would end with, as far as that
// can be seen: whether a socket on "::" takes IPv4 too cannot.
func lookForListener(addr netip.AddrPort) error {
	listeners, err := Listeners("/proc/self/net")
	if err != nil {
		return nil // HAProxy will tell
	}
	for _, l := range listeners {
		if l.Addr.Addr().Is4() == addr.Addr().Is4() && Overlap(l.Addr, addr) {
			return fmt.Errorf("listen tcp %s: %w", addr, syscall.EADDRINUSE)
		}
	}
	return nil
}
