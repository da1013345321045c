// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"net/netip"
	"testing"
)

func TestDemosLeaveEachOthersPortsAlone(t *testing.T) {
	var first, second edge
	free, err := isFree(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	usual := free.Port()
	ours, err := first.freePort(usual)
	if err != nil || ours.Port() != usual {
		t.Fatalf("the first demo has %v, %v; want port %d", ours, err, usual)
	}
	theirs, err := second.freePort(usual) // on which nobody listens yet
	if err != nil || theirs.Port() == usual {
		t.Errorf("a second demo has %v, %v; want another port than %d", theirs, err, usual)
	}
	given := map[uint16]bool{ours.Port(): true, theirs.Port(): true}
	for range 500 { // which the first one has not, either
		addr, err := first.freePort(usual)
		if err != nil || given[addr.Port()] {
			t.Fatalf("got %v, %v, which is another's", addr, err)
		}
		given[addr.Port()] = true
	}
	first.unclaim()
	if theirs, err = second.freePort(usual); err != nil || theirs.Port() != usual {
		t.Errorf("behind the first demo's end a second one has %v, %v; want port %d", theirs, err, usual)
	}
	second.unclaim()
}
