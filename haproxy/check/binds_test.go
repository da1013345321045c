// SPDX-License-Identifier: Apache-2.0

package check

import (
	"errors"
	"net/netip"
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
