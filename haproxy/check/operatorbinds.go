// SPDX-License-Identifier: Apache-2.0

package check

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Bind is an address on which HAProxy listens for TCP because of a file of the operator.
type Bind struct {
	File        string
	Addr        netip.Addr // "0.0.0.0" and "::" are every address of their family
	First, Last uint16     // the range of ports
}

// Binds returns the addresses of "bind", "stats socket" and "peer" in the operator's
// files. It reads the lines as Globals does: it knows neither host names nor variables,
// and skips addresses with them. Sockets in the file system are no addresses.
func (h HAProxy) Binds() ([]Bind, error) {
	var binds []Bind
	err := h.eachLine(func(l line) {
		w := l.words
		switch {
		case w[0] == "bind" && len(w) > 1:
			binds = append(binds, bindsOf(l.file, w[1], w[2:])...)
		case l.section == "global" && w[0] == "stats" && len(w) > 2 && w[1] == "socket":
			binds = append(binds, bindsOf(l.file, w[2], w[3:])...)
		case l.section == "peers" && (w[0] == "peer" || w[0] == "server") && len(w) > 2:
			binds = append(binds, bindsOf(l.file, w[2], w[3:])...)
		}
	})
	return binds, err
}

// bindsOf parses the addresses of a bind, separated by commas (configuration.txt 11.1
// "Address formats"). It skips a bind in another network namespace.
func bindsOf(file, addresses string, params []string) (binds []Bind) {
	if slices.Contains(params, "namespace") {
		return nil
	}
	for address := range strings.SplitSeq(addresses, ",") {
		family, host := "", address
		if before, after, ok := strings.Cut(address, "@"); ok {
			family, host = before, after
		}
		if !slices.Contains([]string{"", "ipv4", "ipv6", "tcp", "tcp4", "tcp6", "mptcp", "mptcp4", "mptcp6"}, family) {
			continue
		}
		i := strings.LastIndex(host, ":")
		if i < 0 {
			continue
		}
		b := Bind{File: file}
		first, last, ok := strings.Cut(host[i+1:], "-")
		if !ok {
			last = first
		}
		var errs [2]error
		b.First, errs[0] = port(first)
		b.Last, errs[1] = port(last)
		if errs != [2]error{} {
			continue
		}
		switch host = strings.Trim(host[:i], "[]"); {
		case host != "" && host != "*":
			addr, err := netip.ParseAddr(host)
			if err != nil {
				continue
			}
			b.Addr = addr.Unmap().WithZone("")
		case strings.HasSuffix(family, "6"):
			b.Addr = netip.IPv6Unspecified()
		default:
			b.Addr = netip.IPv4Unspecified()
		}
		binds = append(binds, b)
		if b.Addr == netip.IPv6Unspecified() && !slices.Contains(params, "v6only") { // Linux accepts IPv4 there
			b.Addr = netip.IPv4Unspecified()
			binds = append(binds, b)
		}
	}
	return binds
}

func port(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err
}
