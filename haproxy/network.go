// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// MaxNetworks is the maximum length of a list of networks, because HAProxy reads at
// most 64 words of a line (configuration.txt 2.2, MAX_LINE_ARGS).
const MaxNetworks = 50

// ParseNetwork parses a CIDR, or an address, which becomes the network of that
// address alone. An IPv4 address in IPv6 becomes one of IPv4. Host bits are not
// cleared. The error contains only the reason; the caller adds the value.
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

// Networks are networks in one string, which makes a Policy comparable: sorted and
// separated by blanks.
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
