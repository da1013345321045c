// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// ports are ports of this machine that other demos do not use.
type ports struct{ claims []net.Listener }

// claim returns an address of this machine that is not in use, with that port unless this
// or another demo has claimed it. Other ports are below the kernel's ephemeral ports.
func (p *ports) claim(port uint16) (netip.AddrPort, error) {
	const from, to, most = 20_000, 32_000, 100
	var errs []error
	for range most {
		addr, err := p.try(port)
		if err == nil {
			return addr, nil
		}
		errs = append(errs, err)
		port = from + rand.N[uint16](to-from)
	}
	return netip.AddrPort{}, fmt.Errorf("no free port: %w", errors.Join(errs[:3]...))
}

// try claims one port: as long as its abstract socket exists, no other demo does.
func (p *ports) try(port uint16) (netip.AddrPort, error) {
	claim, err := net.Listen("unix", fmt.Sprintf("@podgate-demo-%d", port))
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := isFree(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	if err != nil {
		return netip.AddrPort{}, errors.Join(err, claim.Close())
	}
	p.claims = append(p.claims, claim)
	return addr, nil
}

// release leaves the ports to other demos.
func (p *ports) release() {
	for _, claim := range p.claims {
		claim.Close()
	}
	p.claims = nil
}

// isFree returns addr, with any free port in place of zero, or an error if the address is
// in use.
func isFree(addr netip.AddrPort) (netip.AddrPort, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return netip.AddrPort{}, err
	}
	return l.Addr().(*net.TCPAddr).AddrPort(), l.Close()
}
