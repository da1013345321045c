// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"math/rand/v2"
	"testing"

	"podgate/haproxy"
)

// TestUnknownsWalk makes random changes and compares Unknowns with HasUnknown.
func TestUnknownsWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var unknowns haproxy.Unknowns
	s := state("a 1", "b 2", "c 3")
	found := 0
	for step := range 2000 {
		switch r.IntN(10) {
		case 0:
			s = state([]string{"a 1", "b 2", "c 3", "d 4"}[:r.IntN(5)]...)
		case 1:
			// no change
		default:
			if n := s.Backends.Len(); n > 0 {
				i := r.IntN(n)
				b := *s.Backends.At(i)
				b.Unknown = r.IntN(6) == 0
				s.Backends = s.Backends.With(map[int]*haproxy.Backend{i: &b})
			}
		}
		want := s.HasUnknown()
		if got := unknowns.In(s); got != want {
			t.Fatalf("step %d: got %v, want %v in\n%s", step, got, want, s)
		}
		if want {
			found++
		}
	}
	if found == 0 {
		t.Fatal("no State had an Unknown backend")
	}
}
