// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"podgate/haproxy"
)

// preflight tries the addresses on which want listens and loaded does not. A
// reload with an address that is taken would cost seconds of refused
// connections on all the others.
func preflight(loaded, want []haproxy.Frontend) error {
	held := map[netip.AddrPort]bool{}
	for _, f := range loaded {
		for _, addr := range f.Binds {
			held[addr] = true
		}
	}
	for _, f := range want {
		for _, addr := range f.Binds {
			if held[addr] {
				continue
			}
			if err := tryListen(addr); err != nil {
				return fmt.Errorf("preflight: frontend %s: %w", f.Name, err)
			}
		}
	}
	return nil
}

func tryListen(addr netip.AddrPort) error {
	network := "tcp4"
	if addr.Addr().Is6() {
		network = "tcp6"
	}
	listener, err := net.Listen(network, addr.String())
	switch {
	case errors.Is(err, syscall.EACCES): // a port that only root may take, as HAProxy's master does
		return nil
	case err != nil:
		return err
	}
	return listener.Close()
}
