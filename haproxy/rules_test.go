// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"slices"
	"testing"

	"podgate/haproxy"
)

// ruled returns a State with Settings.Rules and the backends a and b.
func ruled(routes ...haproxy.Route) haproxy.State {
	s := haproxy.State{Settings: haproxy.Settings{Rules: true}, Frontends: []haproxy.Frontend{{Name: "podgate_http", Mode: haproxy.HTTP}}, Routes: routes}
	var backends []*haproxy.Backend
	for _, name := range []string{"a", "b"} {
		backends = append(backends, &haproxy.Backend{Name: name, Policy: haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin}})
	}
	s.Backends = haproxy.ListOf(backends...)
	slices.SortFunc(s.Routes, haproxy.Route.Compare)
	return s
}

func serving(s haproxy.State) haproxy.Running {
	return haproxy.Running{Loaded: s.Structure(), Maps: s.Maps(), Servers: map[string][]haproxy.Server{}}
}

// names returns the names of the maps of a Plan.
func names(p haproxy.Plan) []string {
	var all []string
	for _, m := range p.Maps {
		all = append(all, m.Name)
	}
	return all
}

func TestRulesAreThereBeforeARouteLeadsToThem(t *testing.T) {
	before := ruled(haproxy.Route{Backend: "a"})
	conditional := haproxy.Route{Backend: "a", Conditions: &haproxy.Conditions{Method: "POST"}, Actions: &haproxy.Actions{Answer: 404}}
	after := ruled(conditional, haproxy.Route{Order: 1, Backend: "b"})
	plan := haproxy.Diff(serving(before), after)
	if got := names(plan); len(got) != 3 || got[0] != haproxy.RulesMap || got[2] != haproxy.RoutesMap {
		t.Errorf("the maps are replaced in the order %v", got)
	}
	changed := conditional
	changed.Actions = &haproxy.Actions{Answer: 410}
	next := ruled(changed, haproxy.Route{Order: 1, Backend: "b"})
	for _, m := range haproxy.Diff(serving(after), next).Maps {
		if m.HoldsRules() && len(m.Entries) != 2 {
			t.Errorf("map %s has not both the present entry and the next one while the routes change: %v", m.Name, m.Entries)
		}
	}
	back := haproxy.Diff(serving(after), before)
	if got := names(back); len(got) != 1 || got[0] != haproxy.RoutesMap {
		t.Errorf("a rule is removed while a route leads to it: %v", got)
	}
}

func TestARouteWaitsForAllBackendsOfItsRule(t *testing.T) {
	targets := []haproxy.Target{{Backend: "a", Weight: 1}, {Backend: "c", Weight: 1}}
	want := ruled(haproxy.Route{Path: "/x", Actions: &haproxy.Actions{Targets: targets}})
	have := serving(ruled(haproxy.Route{Path: "/x", Backend: "b"}))
	for _, m := range haproxy.Diff(have, want).Maps {
		if m.Name == haproxy.RoutesMap {
			t.Errorf("a route leads to backend c, which is not loaded: %v", m.Entries)
		}
	}
	if m := (haproxy.Map{Name: haproxy.RulesMap, Entries: want.Maps()[len(haproxy.MapNames())].Entries}); !m.LeadsTo("c") || m.LeadsTo("b") {
		t.Errorf("LeadsTo does not read the targets of %v", m.Entries)
	}
}

func TestANewHeaderNameNeedsAReload(t *testing.T) {
	changes := func(name string) haproxy.Route {
		return haproxy.Route{Backend: "a", Actions: &haproxy.Actions{Request: haproxy.HeaderChanges{Remove: []string{name}}}}
	}
	have := serving(ruled(changes("x-a")))
	if r := haproxy.Diff(have, ruled(changes("x-a"))).Reload; r != nil {
		t.Errorf("a known header name needs a reload: %s", r)
	}
	plan := haproxy.Diff(have, ruled(changes("x-b")))
	if got, want := plan.Reload.String(), "header x-b is changed by a route for the first time"; got != want || plan.Reload.Kind() != haproxy.HeaderNameNew {
		t.Errorf("got reason %q, want %q", got, want)
	}
	if slices.Contains(names(plan), haproxy.RoutesMap) {
		t.Error("a route leads to a rule before HAProxy has lines for its header")
	}
}
