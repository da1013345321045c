// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"math/rand/v2"
	"testing"

	"podgate/haproxy"
)

// TestUnknownsSeesWhatChanges walks from State to State, of which few have Unknown
// backends.
func TestUnknownsSeesWhatChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var unknowns haproxy.Unknowns
	s := state("a 1", "b 2", "c 3")
	found := 0
	for step := range 2000 {
		switch r.IntN(10) {
		case 0:
			s = state([]string{"a 1", "b 2", "c 3", "d 4"}[:r.IntN(5)]...)
		case 1:
			// as it was
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
		t.Fatal("nothing was ever Unknown")
	}
}
