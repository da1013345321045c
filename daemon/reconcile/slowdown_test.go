// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// ofBackend is the namespace of the backend "shop-1": "shop".
func ofBackend(backend string) string {
	namespace, _, _ := strings.Cut(backend, "-")
	return namespace
}

// noisy returns a slowdown in which namespaces have caused reloads, one per second. The
// last one is at now.
func noisy(now time.Time, reloads map[string]int) *slowdown {
	s := &slowdown{}
	for name, n := range reloads {
		for i := range n {
			at := now.Add(time.Duration(i+1-n) * time.Second)
			s.split(at, nil, ofBackend, 0)
			s.causes = []string{name}
			s.reloaded(at, haproxy.State{})
		}
	}
	return s
}

func TestANamespaceThatCausesReloadAfterReloadWaits(t *testing.T) {
	const interval = 5 * time.Second
	now := time.Now()
	for _, row := range []struct {
		name    string
		reloads map[string]int
		after   time.Duration // of the last reload
		wanted  haproxy.Reasons
		free    haproxy.Reasons
		until   time.Duration // after the last reload; zero if no reason waits
	}{
		{"a few reloads are free", map[string]int{"shop": freeReloads - 1}, 0, reasons("shop-1"), reasons("shop-1"), 0},
		{"then a pause of two intervals follows", map[string]int{"shop": freeReloads}, 0, reasons("shop-1"), nil, 10 * time.Second},
		{"another reload doubles the pause", map[string]int{"shop": freeReloads + 1}, time.Second, reasons("shop-1"), nil, 20 * time.Second},
		{"the pause grows to sixteen intervals", map[string]int{"shop": 40}, 0, reasons("shop-1"), nil, 80 * time.Second},
		{"after the pause the reasons are free", map[string]int{"shop": freeReloads}, 10 * time.Second, reasons("shop-1"), reasons("shop-1"), 0},
		{"after ten minutes nothing is left of it", map[string]int{"shop": 40}, slowWindow + time.Second, reasons("shop-1"), reasons("shop-1"), 0},
		{"other namespaces do not wait", map[string]int{"shop": 40}, 0, reasons("bank-1", "shop-1", "shop-2"), reasons("bank-1"), 80 * time.Second},
		{"two namespaces have pauses of their own", map[string]int{"shop": 40, "bank": freeReloads}, 0, reasons("bank-1", "shop-1"), nil, 10 * time.Second},
		{"a reason of no namespace does not wait", map[string]int{"shop": 40}, 0, haproxy.Reasons{{Kind: haproxy.SettingsChanged}}, haproxy.Reasons{{Kind: haproxy.SettingsChanged}}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := noisy(now, row.reloads)
			free := s.split(now.Add(row.after), row.wanted, ofBackend, interval)
			if diff := cmp.Diff(row.free, free); diff != "" {
				t.Errorf("reasons that may cause a reload (-want +got):\n%s", diff)
			}
			if got := len(row.wanted) - len(free); got != len(s.waiting) {
				t.Errorf("%d reasons wait, %d are known", got, len(s.waiting))
			}
			until := time.Duration(0)
			if !s.until.IsZero() {
				until = s.until.Sub(now)
			}
			if until != row.until {
				t.Errorf("the first one waits until %s, want %s", until, row.until)
			}
		})
	}
}

func TestOnlyTheNamespacesThatCauseAReloadAreCounted(t *testing.T) {
	now := time.Now()
	s := noisy(now, map[string]int{"shop": freeReloads})
	s.split(now, reasons("bank-1", "bank-2", "shop-1"), ofBackend, time.Second)
	want := []SlowNamespace{{"shop", freeReloads, now.Add(2 * time.Second), 1}}
	if diff := cmp.Diff(want, s.slow(now, time.Second)); diff != "" {
		t.Errorf("while the change waits (-want +got):\n%s", diff)
	}
	s.reloaded(now.Add(time.Second), haproxy.State{})
	want[0].Waiting = 0
	if diff := cmp.Diff(want, s.slow(now.Add(time.Second), time.Second)); diff != "" {
		t.Errorf("after the reload for the other namespace (-want +got):\n%s", diff)
	}
	if n := len(s.recent(now, "bank")); n != 1 {
		t.Errorf("the other namespace caused %d reloads, want 1", n)
	}
	if got := s.slow(now.Add(slowWindow+time.Minute), time.Second); got != nil || len(s.reloads) != 0 {
		t.Errorf("ten minutes later: %v, %v", got, s.reloads)
	}
	if got := noisy(now, map[string]int{"shop": 40}).slow(now, 0); got != nil {
		t.Errorf("without an interval: %v", got)
	}
}

// TestARemovedFrontendBelongsToItsNamespace deletes the Service of a TCP frontend: its
// backend has no Service any more.
func TestARemovedFrontendBelongsToItsNamespace(t *testing.T) {
	now := time.Now()
	reason := func(detail string) haproxy.Reasons {
		return haproxy.Reasons{{Kind: haproxy.FrontendChanged, Object: "podgate_tcp_1", Detail: detail, Backend: "db"}}
	}
	s := noisy(now, map[string]int{"shop": freeReloads - 1})
	loaded := haproxy.State{Frontends: []haproxy.Frontend{{Name: "podgate_tcp_1", Backend: "db"}}}
	s.split(now, reason("is new"), func(string) string { return "shop" }, time.Minute)
	s.reloaded(now, loaded)
	none := func(string) string { return "" }
	if free := s.split(now, reason("is removed"), none, time.Minute); len(free) != 0 {
		t.Error("the removal does not wait")
	}
	s.reloaded(now, haproxy.State{})
	if len(s.owners) != 0 {
		t.Errorf("owners of frontends that are not loaded: %v", s.owners)
	}
	if free := s.split(now, reason("is removed"), none, time.Minute); len(free) != 1 {
		t.Error("a frontend without a known namespace waits")
	}
}
