// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// MaxNetworks is how many networks one list holds, because HAProxy reads no more
// than 64 words in a line (configuration.txt 2.2, MAX_LINE_ARGS).
const MaxNetworks = 50

// ParseNetwork reads a CIDR, or an address, which is the network of that address
// alone; an IPv4 address in IPv6 is one of IPv4. Host bits are not cleared. The error is the reason alone, to be wrapped
// with the value.
func ParseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New(`write it like "10.0.0.0/8" or "fd00::/8"`)
	}
	return p, nil
}

// CompareNetworks orders networks by address, then by length.
func CompareNetworks(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// Networks are networks in one text, so that a Policy can be compared: sorted,
// with a blank between any two.
type Networks string

// JoinNetworks sorts the networks and removes duplicates.
func JoinNetworks(networks []netip.Prefix) Networks {
	sorted := slices.Compact(slices.SortedFunc(slices.Values(networks), CompareNetworks))
	words := make([]string, len(sorted))
	for i, p := range sorted {
		words[i] = p.String()
	}
	return Networks(strings.Join(words, " "))
}
