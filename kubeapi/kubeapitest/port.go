// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// port is a port of 127.0.0.1 that stays this process's own while no server listens on it,
// so that a server that was stopped can start at the same port. Without it, an outgoing
// connection of any other process may get the port in between. Connections to it are
// refused until a server listens.
type port struct {
	addr string   // such as 127.0.0.1:38049
	held *os.File // a socket that is bound and does not listen; closed with the last reference to it
}

// newPort returns a port that no process uses.
func newPort() (*port, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	held := os.NewFile(uintptr(fd), "port")
	// With this option on both sockets, a listener may share the port with a socket that
	// does not listen. Package net sets it on every listener.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	inet, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return nil, fmt.Errorf("getsockname: %T", name)
	}
	return &port{
		addr: netip.AddrPortFrom(netip.AddrFrom4(inet.Addr), uint16(inet.Port)).String(),
		held: held,
	}, nil
}

func (p *port) listen() (net.Listener, error) { return net.Listen("tcp", p.addr) }
