// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// serverURL is "http://HOST", "https://HOST" or either with ":PORT".
func serverURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case strings.Contains(s, "@"): // first, because no other error may repeat a password
		return "", errors.New("contains a user name or a password (use token_file or client_certificate)")
	case err != nil, printable(s) != nil:
		return "", fmt.Errorf(`%q is not a URL (write it like "https://10.0.0.1:6443")`, s)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "", fmt.Errorf(`%q is not an http or https URL (write it like "https://10.0.0.1:6443")`, s)
	case strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return "", fmt.Errorf("%q has more than scheme, host and port (write %q)", s, u.Scheme+"://"+u.Host)
	}
	if p := u.Port(); p != "" {
		if _, err := port(p); err != nil {
			return "", fmt.Errorf("%q: %w", s, err)
		}
	}
	return u.Scheme + "://" + u.Host, nil
}

// bindList is a field of addresses to listen on.
func bindList(p *[]netip.AddrPort) field {
	read := func(v any) (netip.AddrPort, error) {
		if n, ok := v.(int64); ok { // the error shows how to write a bare port
			v = strconv.FormatInt(n, 10)
		}
		return fromString(bind)(v)
	}
	return list(p, `list of ":PORT", "IPv4:PORT" and "[IPv6]:PORT"`, read, printBind, distinct)
}

// bind parses an address and a port; without an address it means every IPv4
// address.
func bind(s string) (netip.AddrPort, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		if _, err := port(s); err == nil {
			return netip.AddrPort{}, fmt.Errorf("%q is not an address and a port (write %q)", s, ":"+s)
		}
		return netip.AddrPort{}, fmt.Errorf(`%q is not an address and a port (write it like ":80" or "10.0.0.1:80")`, s)
	}
	p, err := port(s[i+1:])
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: %w", s, err)
	}
	if i == 0 {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), p), nil
	}
	inner, bracketed := strings.CutPrefix(s[:i], "[")
	if bracketed {
		inner = strings.TrimSuffix(inner, "]")
	}
	a, err := address(inner)
	switch {
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("%q: %w", s, err)
	case bracketed != a.Is6():
		want := netip.AddrPortFrom(a, p)
		return netip.AddrPort{}, fmt.Errorf("%q is not an address and a port (write %q)", s, want)
	}
	return netip.AddrPortFrom(a, p), nil
}

func printBind(b netip.AddrPort) string {
	if b.Addr() == netip.IPv4Unspecified() {
		return fmt.Sprintf(`":%d"`, b.Port())
	}
	return quote(b.String())
}

// relayAddr is a field of the address of a relay, or "".
func relayAddr(p *netip.AddrPort) field {
	return scalar(p, `"IPv4:PORT" or "[IPv6]:PORT", loopback, or empty`, fromString(relay), printRelay)
}

// relay parses a loopback address and a port, or "".
func relay(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	b, err := bind(s)
	if err == nil && !b.Addr().IsLoopback() {
		err = fmt.Errorf("%q is not a loopback address; other hosts could forge client addresses through it", s)
	}
	return b, err
}

func printRelay(b netip.AddrPort) string {
	if !b.IsValid() {
		return `""`
	}
	return quote(b.String())
}

// address parses an IP address without a zone.
func address(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is not an IP address (host names are not resolved)", s)
	case a.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q has a zone, which is not supported", s)
	}
	return a.Unmap(), nil
}

// port parses a number from 1 to 65535.
func port(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port (1 to 65535)", s)
	}
	return uint16(n), nil
}

// ports parses a port, as an integer or a string, or a range "FIRST-LAST".
func ports(v any) (PortRange, error) {
	var s string
	switch x := v.(type) {
	case int64:
		s = strconv.FormatInt(x, 10)
	case string:
		s = x
	default:
		return PortRange{}, fmt.Errorf(`%s is not a port (write 5432 or "7000-7100")`, literal(v))
	}
	from, to, isRange := strings.Cut(s, "-")
	if !isRange || from == "" {
		from, to = s, s
	}
	first, err := port(strings.TrimSpace(from))
	if err != nil {
		return PortRange{}, err
	}
	last, err := port(strings.TrimSpace(to))
	switch {
	case err != nil:
		return PortRange{}, err
	case last < first:
		return PortRange{}, fmt.Errorf("%q ends before it begins (write %q)", s, fmt.Sprintf("%d-%d", last, first))
	}
	return PortRange{first, last}, nil
}

func printPorts(r PortRange) string {
	if r.First == r.Last {
		return strconv.Itoa(int(r.First))
	}
	return fmt.Sprintf(`"%d-%d"`, r.First, r.Last)
}

// mergePorts sorts the ranges and joins those that overlap or touch.
func mergePorts(_ value, _ []value, ranges []PortRange) []PortRange {
	slices.SortFunc(ranges, func(a, b PortRange) int { return cmp.Compare(a.First, b.First) })
	var merged []PortRange
	for _, r := range ranges {
		if n := len(merged); n > 0 && int(r.First) <= int(merged[n-1].Last)+1 {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}
