// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Listener is a TCP socket of this machine that takes connections.
type Listener struct {
	Addr  netip.AddrPort
	Inode string // by which /proc/PID/fd names it
}

// Listeners reads the TCP sockets that listen from the folder net of a process
// (proc(5), /proc/PID/net). It needs no privilege.
func Listeners(folder string) ([]Listener, error) {
	var all []Listener
	for _, name := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(folder + "/" + name)
		if err != nil {
			if name == "tcp6" && os.IsNotExist(err) { // a kernel without IPv6
				continue
			}
			return nil, fmt.Errorf("look who listens: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			const listens = "0A" // TCP_LISTEN
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != listens {
				continue
			}
			addr, err := procAddr(fields[1])
			if err != nil {
				return nil, fmt.Errorf("look who listens: %s: %w", name, err)
			}
			all = append(all, Listener{addr, fields[9]})
		}
	}
	return all, nil
}

// procAddr reads "0100007F:1F90": the address in words of four bytes, each in
// the order of this machine.
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
		return netip.AddrPort{}, fmt.Errorf("%q is no address", s)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(p)), nil
}

// Overlap reports whether two sockets cannot both have all connections of their
// address: the addresses are equal, or one of them stands for the other's too.
// "::" stands for IPv4 as well, as Linux has it by default.
func Overlap(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() {
		return false
	}
	return a.Addr() == b.Addr() || covers(a.Addr(), b.Addr()) || covers(b.Addr(), a.Addr())
}

func covers(wide, addr netip.Addr) bool {
	return wide.IsUnspecified() && (wide.Is6() || addr.Is4())
}
