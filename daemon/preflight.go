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

// preflight tries the addresses on which want listens and loaded does not: a
// reload with an address that is taken would cost seconds of refused
// connections on all the others. It returns what can be done without, with the
// reason: the backends of TCP frontends that cannot listen, and relay where that
// address is taken. The error tells of a frontend that many Services share.
func preflight(loaded, want []haproxy.Frontend) (map[string]string, error) {
	held := map[netip.AddrPort]bool{}
	for _, f := range loaded {
		for _, addr := range f.Binds {
			held[addr] = true
		}
		held[f.Relay] = true
	}
	taken := map[string]string{}
	for _, f := range want {
		if f.Relay.IsValid() && !held[f.Relay] {
			if err := tryListen(f.Relay); err != nil {
				taken[relay] = fmt.Sprintf("preflight: %v", err)
			}
		}
		for _, addr := range f.Binds {
			if held[addr] {
				continue
			}
			err := tryListen(addr)
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
