// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"net/netip"
	"testing"
)

func TestDemosUseDifferentPorts(t *testing.T) {
	var first, second ports
	free, err := isFree(netip.MustParseAddrPort("127.0.0.1:0"))
	must(t, err)
	usual := free.Port()
	ours, err := first.claim(usual)
	if err != nil || ours.Port() != usual {
		t.Fatalf("the first demo has %v, %v; want port %d", ours, err, usual)
	}
	theirs, err := second.claim(usual) // no program listens on it yet
	if err != nil || theirs.Port() == usual {
		t.Errorf("a second demo has %v, %v; want another port than %d", theirs, err, usual)
	}
	given := map[uint16]bool{ours.Port(): true, theirs.Port(): true}
	for range 500 { // no program listens on these ports
		addr, err := first.claim(usual)
		if err != nil || given[addr.Port()] {
			t.Fatalf("got %v, %v, which was claimed before", addr, err)
		}
		given[addr.Port()] = true
	}
	first.release()
	if theirs, err = second.claim(usual); err != nil || theirs.Port() != usual {
		t.Errorf("after the end of the first demo, a second one has %v, %v; want port %d", theirs, err, usual)
	}
	second.release()
}
