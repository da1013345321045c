// SPDX-License-Identifier: Apache-2.0

package check

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"podgate/haproxy"
)

// Taken is the optional addresses of a configuration on which HAProxy cannot listen,
// with the reasons.
type Taken struct {
	Backends map[string]string // by Backend of a TCP frontend
	Relay    string            // of Frontend.Relay; "" if it can listen there
}

// Binds probes the addresses on which want listens and loaded does not: during a
// reload with an address that is in use, HAProxy refuses connections on all addresses
// for seconds. It returns an error if a required address is in use, such as that of a
// frontend that many Services share.
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

// WithPeer returns frontends and, if s has a peer named local, one more for the
// address on which HAProxy listens for the other peers.
func WithPeer(frontends []haproxy.Frontend, s haproxy.Settings, local string) []haproxy.Frontend {
	for _, p := range s.Peers {
		if p.Name == local {
			frontends = append(slices.Clone(frontends), haproxy.Frontend{Name: "peers", Binds: []netip.AddrPort{p.Addr}})
		}
	}
	return frontends
}

// Probe returns the error that HAProxy would get if it listened on addr. It returns nil for
// a port on which only root may listen, as HAProxy's master does.
func Probe(addr netip.AddrPort) error {
	err := try(addr)
	if errors.Is(err, syscall.EACCES) {
		return nil
	}
	return err
}

// ProbeOrSearch is Probe that searches the sockets of this machine for a listener
// on a port that only root may listen on.
func ProbeOrSearch(addr netip.AddrPort) error {
	err := try(addr)
	if errors.Is(err, syscall.EACCES) {
		return searchListener(addr)
	}
	return err
}

// try binds a socket to addr. The socket does not listen, because clients would connect to
// it instead of HAProxy.
func try(addr netip.AddrPort) error {
	network, family := "tcp6", syscall.AF_INET6
	var sockaddr syscall.Sockaddr = &syscall.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if addr.Addr().Is4() {
		network, family = "tcp4", syscall.AF_INET
		sockaddr = &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(bind(fd, sockaddr), syscall.Close(fd))
	}
	if err != nil {
		return &net.OpError{Op: "listen", Net: network, Addr: net.TCPAddrFromAddrPort(addr), Err: err}
	}
	return nil
}

func bind(fd int, addr syscall.Sockaddr) error {
	if _, v6 := addr.(*syscall.SockaddrInet6); v6 {
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("bind", syscall.Bind(fd, addr))
}

// searchListener returns the error that listening on addr would return if the list of
// sockets shows a conflict. It ignores sockets on "::" for an IPv4 address, because the
// list does not show whether they accept IPv4.
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
