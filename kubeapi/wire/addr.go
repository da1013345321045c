// SPDX-License-Identifier: Apache-2.0

package wire

import "net/netip"

// parseAddr is netip.ParseAddr of bytes. It allocates no string for an IPv4 address, as
// nearly all are.
func parseAddr(text []byte) (netip.Addr, error) {
	if addr, ok := parseIPv4(text); ok {
		return addr, nil
	}
	return netip.ParseAddr(string(text))
}

// parseIPv4 reports false if text is not an IPv4 address.
func parseIPv4(text []byte) (netip.Addr, bool) {
	var addr [4]byte
	at, digits, value := 0, 0, 0
	for _, c := range text {
		switch {
		case c == '.' && digits > 0 && at < len(addr)-1:
			addr[at] = byte(value)
			at, digits, value = at+1, 0, 0
		case '0' <= c && c <= '9' && (digits == 0 || value > 0): // no zero leads
			digits, value = digits+1, 10*value+int(c-'0')
			if value > 255 {
				return netip.Addr{}, false
			}
		default:
			return netip.Addr{}, false
		}
	}
	addr[at] = byte(value)
	return netip.AddrFrom4(addr), digits > 0 && at == len(addr)-1
}
