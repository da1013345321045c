// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// TestRuleLookups compares what HAProxy finds in its maps with what RuleLookups expects,
// for the State that was loaded and for another one.
func TestRuleLookups(t *testing.T) {
	b := newRuleBox(t)
	condition := &haproxy.Conditions{Headers: []haproxy.ValueMatch{{Name: "x-v", Value: "1"}}}
	routes := []haproxy.Route{
		{Host: "a.test", Backend: "b0"},
		{Host: "a.test", Path: "/x", Exact: true, Backend: "b1"},
		{Host: "a.test", Path: "/c", Conditions: condition, Backend: "b2"},
		{Host: "a.test", Path: "/fold", FoldCase: true, Backend: "b2"},
		{Host: "**.zone.test", Actions: &haproxy.Actions{Answer: 403}},
		{Host: "*.zone.test", Path: "/one", Backend: "b1"},
		{Path: "/every", Backend: "b3"},
		{Listener: b.listeners[0], Host: "a.test", Backend: "b3"},
	}
	s := b.state(routes...)
	b.load(t, s)
	found := 0
	for _, r := range []haproxy.Request{
		{Host: "a.test", Path: "/y"}, {Host: "a.test", Path: "/x"}, {Host: "a.test", Path: "/c/d"}, {Host: "A.test.:80", Path: "/FOLD/a"}, {Host: "x.y.zone.test", Path: "/one"},
		{Host: "x.zone.test", Path: "/one/a"}, {Host: "other.test", Path: "/every"}, {Host: "other.test", Path: "/none"}, {Host: "a.test", Path: "/", To: b.listeners[0]},
	} {
		want := s.RuleLookups(r)
		got, err := b.Find(t.Context(), want)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s%s (-want +got):\n%s", r.Host, r.Path, diff)
		}
		for _, l := range got {
			if l.Found.Key != "" {
				found++
			}
		}
		if routes := s.Match(r); (len(routes) > 0) != hasEntry(want) && r.Path != "/c/d" {
			t.Errorf("%s%s: %d routes match, but the lookups are %v", r.Host, r.Path, len(routes), want)
		}
	}
	if found < 8 {
		t.Errorf("only %d entries were found", found)
	}
	condition = &haproxy.Conditions{Method: "POST"}
	other := b.state(haproxy.Route{Host: "a.test", Path: "/c", Conditions: condition, Backend: "b2"}, haproxy.Route{Host: "a.test", Backend: "b0"})
	want := other.RuleLookups(haproxy.Request{Host: "a.test", Path: "/c"})
	got, err := b.Find(t.Context(), want)
	must(t, err)
	if cmp.Diff(want, got) == "" {
		t.Errorf("HAProxy finds the entries of another State: %v", got)
	}
}

func hasEntry(lookups []haproxy.Lookup) bool {
	for _, l := range lookups {
		if l.Found.Key != "" {
			return true
		}
	}
	return false
}
