// SPDX-License-Identifier: Apache-2.0

package check

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
)

func TestListenersAreFound(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"} {
		t.Run(address, func(t *testing.T) {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Skip(err) // no IPv6 here
			}
			defer l.Close()
			want := l.Addr().(*net.TCPAddr).AddrPort()
			want = netip.AddrPortFrom(want.Addr().Unmap(), want.Port())
			all, err := Listeners("/proc/self/net")
			if err != nil {
				t.Fatal(err)
			}
			found := func(l Listener) bool { return l.Addr.Port() == want.Port() && Overlap(l.Addr, want) }
			if !slices.ContainsFunc(all, found) {
				t.Errorf("%s is not among %v", want, all)
			}
			if err := searchListener(want); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("searchListener(%s): %v", want, err)
			}
		})
	}
}

func TestOverlap(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"0.0.0.0:80", "0.0.0.0:80", true},
		{"0.0.0.0:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "0.0.0.0:80", true},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"0.0.0.0:80", "0.0.0.0:81", false},
		{"[::]:80", "127.0.0.1:80", true},
		{"0.0.0.0:80", "[::1]:80", false},
		{"[::]:80", "[2001:db8::1]:80", true},
	} {
		if got := Overlap(netip.MustParseAddrPort(row.a), netip.MustParseAddrPort(row.b)); got != row.want {
			t.Errorf("Overlap(%s, %s) = %v", row.a, row.b, got)
		}
	}
}
