// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
	"podgate/haproxy/check"
)

func TestHowLongABackendStaysInQuarantine(t *testing.T) {
	db := func(port uint16, maxConn int) haproxy.State {
		return haproxy.State{
			Backends:  haproxy.ListOf(&haproxy.Backend{Name: "shop_db_5432", Options: haproxy.Options{MaxConn: maxConn}, Servers: []haproxy.Server{{Addr: netip.MustParseAddrPort("10.0.0.1:5432")}}}),
			Frontends: []haproxy.Frontend{{Name: "tcp_5432", Mode: haproxy.TCP, Backend: "shop_db_5432", Binds: []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), port)}}},
		}
	}
	moreServers := db(5432, 1)
	moreServers.Backends.At(0).Servers = nil
	for _, row := range []struct {
		name  string
		want  haproxy.State
		after time.Duration
		aside bool
	}{
		{"the same backend is set aside", db(5432, 1), 0, true},
		{"the same backend with other servers is set aside", moreServers, 0, true},
		{"the same backend stays set aside for a minute", db(5432, 1), retryPause, true},
		{"the same backend is tried again after a minute", db(5432, 1), retryPause + 1, false},
		{"other options are tried", db(5432, 2), 0, false},
		{"another frontend is tried", db(5433, 1), 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			var q quarantine
			now := time.Now()
			q.add(now, db(5432, 1), map[string]string{"shop_db_5432": "no"})
			got := q.filter(now.Add(row.after), row.want, haproxy.State{})
			if aside := got.Backends.Len() == 0 && len(got.Frontends) == 0; aside != row.aside {
				t.Errorf("set aside: %v, want %v", aside, row.aside)
			}
			if (len(q.backends) > 0) != row.aside {
				t.Errorf("in quarantine: %v", q.backends)
			}
		})
	}
}

func TestARelayInQuarantine(t *testing.T) {
	with := func(addr string) haproxy.State {
		return haproxy.State{Frontends: []haproxy.Frontend{{Name: "http", Relay: netip.MustParseAddrPort(addr)}}}
	}
	var q quarantine
	now := time.Now()
	q.addRelay(now, with("127.0.0.1:1"))
	if got := q.filter(now, with("127.0.0.1:1"), haproxy.State{}); relayOf(got).IsValid() {
		t.Error("the relay is used although its address is taken")
	}
	if got := q.filter(now.Add(retryPause+1), with("127.0.0.1:1"), haproxy.State{}); !relayOf(got).IsValid() {
		t.Error("the relay is not tried again")
	}
	q.addRelay(now, with("127.0.0.1:1"))
	if got := q.filter(now, with("127.0.0.1:2"), haproxy.State{}); !relayOf(got).IsValid() {
		t.Error("another address is not tried")
	}
}

func TestCulprits(t *testing.T) {
	bad := map[string]bool{"c": true, "d": true, "g": true}
	checks := 0
	accept := func(s haproxy.State) error {
		checks++
		for _, b := range s.Backends.All() {
			if bad[b.Name] {
				return errors.New(b.Name + " is bad")
			}
		}
		return nil
	}
	want := shops("a", "b", "c", "d", "e", "f", "g", "h")
	names := suspects(shops("a"), want)
	if diff := cmp.Diff([]string{"b", "c", "d", "e", "f", "g", "h"}, names); diff != "" {
		t.Errorf("suspects (-want +got):\n%s", diff)
	}
	rejected := errors.New("it is bad")
	got := culprits(want, shops("a"), names, rejected, accept)
	if diff := cmp.Diff(map[string]string{"c": "c is bad", "d": "d is bad", "g": "g is bad"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bad["a"] = true
	if got := culprits(want, shops("a"), names, rejected, accept); got != nil {
		t.Errorf("culprits %v although another backend is the cause", got)
	}
	if got := culprits(want, shops("a"), nil, rejected, accept); got != nil {
		t.Errorf("culprits %v without suspects", got)
	}
}

func TestHAProxysMessagesLeadToTheCulprits(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for _, row := range []struct {
		name   string
		bad    []string
		blame  func(bad []string) []string // the backends that HAProxy's messages refer to
		checks int
	}{
		{"the only culprit is named", []string{"c"}, func(bad []string) []string { return bad }, 1},
		{"one culprit after the other is named", []string{"c", "f"}, func(bad []string) []string { return bad[:1] }, 2 + 2},
		{"a backend that is not a suspect is named, too", []string{"c"}, func(bad []string) []string { return append([]string{"x"}, bad...) }, 1},
		{"another backend is named, too", []string{"c"}, func(bad []string) []string { return append([]string{"a"}, bad...) }, 1 + 2},
		{"only another backend is named", []string{"c"}, func([]string) []string { return []string{"a"} }, 1 + 1 + 6},
		{"none is named", []string{"c"}, func([]string) []string { return nil }, 1 + 6},
	} {
		t.Run(row.name, func(t *testing.T) {
			checks := 0
			accept := func(s haproxy.State) error {
				checks++
				var bad []string
				for _, name := range row.bad {
					if _, ok := s.Backend(name); ok {
						bad = append(bad, name)
					}
				}
				if bad == nil {
					return nil
				}
				return &check.RejectedError{Output: bad[0] + " is bad", Backends: row.blame(bad)}
			}
			want := shops(names...)
			err := accept(want)
			checks = 0
			reasons := culprits(want, haproxy.State{}, names, err, accept)
			if got := slices.Sorted(maps.Keys(reasons)); !slices.Equal(got, row.bad) {
				t.Errorf("got %q, want %q", got, row.bad)
			}
			for name, reason := range reasons {
				if want := "check configuration: haproxy -c rejects podgate's configuration: " + name + " is bad"; reason != want {
					t.Errorf("%s: got %q, want %q", name, reason, want)
				}
			}
			if checks != row.checks {
				t.Errorf("%d checks, want %d", checks, row.checks)
			}
		})
	}
}
