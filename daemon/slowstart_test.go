// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"testing"
	"time"

	"podgate/daemon/edgetest"
)

// TestANewPodGetsItsShareSlowly counts which pod answers while a new pod starts slowly. With
// two other pods its full share is a third.
func TestANewPodGetsItsShareSlowly(t *testing.T) {
	const slow = 2 * time.Second
	e := newEdge(t)
	old := []*edgetest.Pod{newPod(t, "old-0"), newPod(t, "old-1")}
	e.service(t, "cart", map[string]string{"slowstart": "2s"}, old...)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 old-1 /")
	e.awaitReloads(t)

	began := time.Now()
	e.endpoints(t, "cart", append(old, newPod(t, "new-0"))...)
	shares := map[bool]*share{false: {}, true: {}} // at the beginning, and after slowstart
	for passed := time.Duration(0); passed < slow+time.Second; passed = time.Since(began) {
		got, err := e.Get(t.Context(), "any", "/cart/")
		must(t, err)
		if late := passed > slow+500*time.Millisecond; late || passed < slow/4 {
			shares[late].count(got == "200 new-0 /")
		}
	}
	early, late := shares[false].part(), shares[true].part()
	t.Logf("of %d requests in the first half second %.1f %%, of %d when it was over %.1f %%", shares[false].all, 100*early, shares[true].all, 100*late)
	if early > 0.2 || late < 0.3 {
		t.Errorf("the new pod's share went from %.3f to %.3f, want from less than 0.2 to a third", early, late)
	}
}

// share counts the requests that the new pod answers.
type share struct{ answered, all int }

func (s *share) count(answered bool) {
	s.all++
	if answered {
		s.answered++
	}
}

func (s *share) part() float64 { return float64(s.answered) / float64(max(1, s.all)) }
