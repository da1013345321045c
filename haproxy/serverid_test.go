// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// TestServerIDsOfAClusterDiffer has pods all over the /14 that large clusters use, which
// answer on the ports before and after a change of the target port.
func TestServerIDsOfAClusterDiffer(t *testing.T) {
	seen := map[int]netip.AddrPort{}
	for _, port := range []uint16{80, 443, 3000, 8000, 8080, 8081, 8443, 9090} {
		for i := 0; i < 1<<18; i += 3 {
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(52 + i>>16), byte(i >> 8), byte(i)}), port)
			id := haproxy.ServerID(addr, 0)
			if other, ok := seen[id]; ok {
				t.Fatalf("%s and %s have id %d", other, addr, id)
			}
			if id < 1 || id > 1<<31-1 {
				t.Fatalf("%s has id %d", addr, id)
			}
			seen[id] = addr
		}
	}
}

func TestServerIDsAreUnique(t *testing.T) {
	a, b := netip.MustParseAddrPort("127.45.160.181:4155"), netip.MustParseAddrPort("127.54.118.96:6275")
	id, next := haproxy.ServerID(a, 0), haproxy.ServerID(b, 1)
	if haproxy.ServerID(b, 0) != id || next == id {
		t.Fatalf("%s and %s have ids %d and %d", a, b, id, haproxy.ServerID(b, 0))
	}
	ids := haproxy.ServerIDs{}
	if diff := cmp.Diff([]int{id, next}, []int{ids.Next(a), ids.Next(b)}); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}
