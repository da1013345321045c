// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Listener is a TCP socket of this machine that accepts connections.
type Listener struct {
	Addr  netip.AddrPort
	Inode string // as in the links of /proc/PID/fd
}

// Listeners returns the listening TCP sockets of a network namespace. folder is
// /proc/PID/net of a process in it (proc(5)). It needs no privileges.
func Listeners(folder string) ([]Listener, error) {
	var all []Listener
	for _, name := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(folder + "/" + name)
		if err != nil {
			if name == "tcp6" && os.IsNotExist(err) { // the kernel has no IPv6
				continue
			}
			return nil, fmt.Errorf("list listening sockets: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			const listens = "0A" // TCP_LISTEN
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != listens {
				continue
			}
			addr, err := procAddr(fields[1])
			if err != nil {
				return nil, fmt.Errorf("list listening sockets: %s: %w", name, err)
			}
			all = append(all, Listener{addr, fields[9]})
		}
	}
	return all, nil
}

// procAddr parses "0100007F:1F90". The address is in words of four bytes, each in
// the byte order of this machine.
func procAddr(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	words, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for i := 0; i+4 <= len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	addr, ok := netip.AddrFromSlice(words)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address", s)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(p)), nil
}

// Overlap reports whether sockets that listen on a and on b would compete for
// connections: the addresses are equal, or one of them is a wildcard that includes
// the other. "::" includes IPv4, which is the default of Linux.
func Overlap(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() {
		return false
	}
	return a.Addr() == b.Addr() || covers(a.Addr(), b.Addr()) || covers(b.Addr(), a.Addr())
}

func covers(wide, addr netip.Addr) bool {
	return wide.IsUnspecified() && (wide.Is6() || addr.Is4())
}
