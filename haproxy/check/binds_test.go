// SPDX-License-Identifier: Apache-2.0

package check

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

func TestBinds(t *testing.T) {
	addr := netip.MustParseAddrPort
	http := func(binds ...netip.AddrPort) haproxy.Frontend {
		return haproxy.Frontend{Name: "http", Mode: haproxy.HTTP, Binds: binds}
	}
	tcp := func(binds ...netip.AddrPort) haproxy.Frontend {
		return haproxy.Frontend{Name: "tcp", Mode: haproxy.TCP, Backend: "shop_db_5432", Binds: binds}
	}
	relay, inner := http(), http()
	relay.Relay, inner.TLSLoopback = addr("127.0.0.1:1"), addr("127.0.0.1:2")
	for _, row := range []struct {
		name         string
		loaded, want []haproxy.Frontend
		inUse        netip.AddrPort
		taken        Taken
		err          string
	}{
		{"all addresses are free", nil, []haproxy.Frontend{http(addr("0.0.0.0:80")), tcp(addr("0.0.0.0:5432"))}, netip.AddrPort{}, Taken{}, ""},
		{"HAProxy listens on the address already", []haproxy.Frontend{http(addr("0.0.0.0:80"))}, []haproxy.Frontend{http(addr("0.0.0.0:80"))}, addr("0.0.0.0:80"), Taken{}, ""},
		{"a port of all Services", nil, []haproxy.Frontend{http(addr("0.0.0.0:80"))}, addr("0.0.0.0:80"), Taken{}, "frontend http: in use"},
		{"a port of one Service", nil, []haproxy.Frontend{tcp(addr("0.0.0.0:5432"))}, addr("0.0.0.0:5432"), Taken{Backends: map[string]string{"shop_db_5432": "in use"}}, ""},
		{"the relay", nil, []haproxy.Frontend{relay}, relay.Relay, Taken{Relay: "in use"}, ""},
		{"the TLS loopback", nil, []haproxy.Frontend{inner}, inner.TLSLoopback, Taken{}, "frontend http: in use"},
		{"the address of this peer", nil, WithPeer(nil, haproxy.Settings{Peers: []haproxy.Peer{{Name: "edge1", Addr: addr("10.0.0.1:10024")}}}, "edge1"), addr("10.0.0.1:10024"), Taken{}, "frontend peers: in use"},
		{"the address of another peer", nil, WithPeer(nil, haproxy.Settings{Peers: []haproxy.Peer{{Name: "edge2", Addr: addr("10.0.0.2:10024")}}}, "edge1"), addr("10.0.0.2:10024"), Taken{}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			taken, err := Binds(row.loaded, row.want, func(a netip.AddrPort) error {
				if a == row.inUse {
					return errors.New("in use")
				}
				return nil
			})
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != row.err {
				t.Errorf("error %q, want %q", got, row.err)
			}
			if len(taken.Backends) == 0 {
				taken.Backends = nil
			}
			if diff := cmp.Diff(row.taken, taken); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestProbe has a listener of each family, and probes its address and its port of every
// address. It connects to none.
func TestProbe(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		// A port that Linux gives to no outgoing connection.
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(10000+rand.N(20000))))
		if err != nil {
			t.Skip(err) // no IPv6 here
		}
		taken := l.Addr().(*net.TCPAddr).AddrPort()
		everywhere := netip.AddrPortFrom(netip.IPv4Unspecified(), taken.Port())
		other := netip.AddrPortFrom(netip.IPv6Unspecified(), taken.Port())
		if host == "::1" {
			everywhere, other = other, everywhere
		}
		for _, addr := range []netip.AddrPort{taken, everywhere} {
			if err := Probe(addr); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), addr.String()+": bind: address already in use") {
				t.Errorf("%s, in use by %s: %v", addr, taken, err)
			}
		}
		if err := Probe(other); err != nil {
			t.Errorf("%s of the other family: %v", other, err)
		}
		l.Close()
		if err := Probe(taken); err != nil {
			t.Errorf("%s after %s was closed: %v", taken, taken, err)
		}
	}
}

// TestAProbedAddressAcceptsNoClient tries the address of a bound socket, as Probe has it.
func TestAProbedAddressAcceptsNoClient(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(bound.(*syscall.SockaddrInet4).Port))
	if conn, err := net.Dial("tcp", addr.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect to %s: %v, %v, want that it is refused", addr, conn, err)
	}
}
