// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
)

// ServerID is the "id" of the server at addr, the same on every edge node and after
// every reload, so that consistent hashing sends a client to the same server
// everywhere. HAProxy requires ids to be unique within a backend. The ids of two IPv4
// servers of one port differ unless their addresses differ in the highest bit only;
// those of two ports differ for almost all pairs of ports if the addresses are in one
// /14. For the exceptions and IPv6 there are further ids: attempt is 0 for the first.
func ServerID(addr netip.AddrPort, attempt int) int {
	const odd = 0x9E3779B1  // multiplying by it permutes the 32-bit numbers
	const step = 0x6C8E9CF5 // leads away from the addresses nearby, which have the next numbers
	var x uint32
	if a := addr.Addr(); a.Is4() {
		b := a.As4()
		x = binary.BigEndian.Uint32(b[:])
	} else {
		b := a.As16()
		h := fnv.New32a()
		h.Write(b[:])
		x = h.Sum32()
	}
	x = ((x ^ mix(addr.Port())) + uint32(attempt)*step) * odd
	return max(1, int(x&0x7fffffff))
}

// mix spreads a port over 32 bits (the finalizer of MurmurHash3), so that the addresses
// of a cluster, which have their first bits in common, do not make up for the difference
// between two ports.
func mix(port uint16) uint32 {
	h := uint32(port) * 0x85EBCA6B
	h = (h ^ h>>13) * 0xC2B2AE35
	return h ^ h>>16
}

// ServerIDs are the ids of a backend that are assigned.
type ServerIDs map[int]bool

// Next returns an id for the server at addr. Servers must come in the order of their
// addresses, so that they get the same ids every time.
func (taken ServerIDs) Next(addr netip.AddrPort) int {
	for attempt := 0; ; attempt++ {
		if id := ServerID(addr, attempt); !taken[id] {
			taken[id] = true
			return id
		}
	}
}
