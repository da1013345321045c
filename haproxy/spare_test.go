// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// The spares of the class of state.
const (
	spare1 = "podgate-spare.a0bb5f5d.1"
	spare2 = "podgate-spare.a0bb5f5d.2"
)

// spared is running for a HAProxy with two spares of each class.
func spared(s haproxy.State, change func(*haproxy.Running), observed ...string) haproxy.Running {
	s.SpareBackends = 2
	have := running(s.Structure(), observed...)
	have.Maps = s.Maps()
	for _, b := range s.Backends.All() {
		if have.Servers[b.Name] == nil {
			have.Servers[b.Name] = b.Servers
		}
	}
	if change != nil {
		change(&have)
	}
	return have
}

// take makes the named backends, which have is loaded without, take spares, with servers.
func take(have *haproxy.Running, want haproxy.State, names ...string) {
	p := haproxy.Diff(*have, want)
	have.Loaded = have.Loaded.WithBackends(p.NewBackends, nil)
	for _, m := range p.Maps {
		have.Maps[slices.Index(haproxy.MapNames(), m.Name)] = m
	}
	for _, name := range names {
		b, _ := want.Backend(name)
		have.Servers[name] = b.Servers
	}
}

func TestDiffForHAProxyWithSpares(t *testing.T) {
	sticky := state("a 1", "b 2")
	sticky.Backends.At(1).Policy.ClientAffinity = time.Hour
	leastconn := state("a 1", "b 2")
	leastconn.Backends.At(1).Policy.Balance = haproxy.LeastConn
	limited := state("a 1", "b 2")
	limited.Backends.At(1).Options.MaxConn = 9
	slow := state("a 1", "b 2")
	slow.Backends.At(1).TimeoutServer = time.Minute
	moved := state("b 2")
	moved.Routes = []haproxy.Route{{Path: "/a", Backend: "b"}}
	const names = "map spares b=" + spare1 + " " + spare1 + "=b"
	taken := func(change func(*haproxy.Running)) haproxy.Running {
		return spared(state("a 1"), func(r *haproxy.Running) {
			take(r, state("a 1", "b 2"), "b")
			if change != nil {
				change(r)
			}
		})
	}
	const bothRoutes = "map routes */a/=a|2 */b/=" + spare1 + "|2"

	for _, row := range []planRow{
		{"a new backend takes a spare of its class", spared(state("a 1"), nil), state("a 1", "b 2 3!"), []string{
			"new backend b in " + spare1, "add b/10.0.0.2:80 ready", "add b/10.0.0.3:80 drain", names, bothRoutes}},
		{"options are those of its servers", spared(state("a 1"), nil), limited, []string{
			"new backend b in " + spare1, "add b/10.0.0.2:80 ready", names, bothRoutes}},
		{"the values of maps have the name of the spare", spared(state("a 1"), nil), slow, []string{
			"new backend b in " + spare1, "add b/10.0.0.2:80 ready", names, bothRoutes, "map timeouts " + spare1 + "=60000"}},
		{"the third of three new backends needs a reload", spared(state("a 1"), nil), state("a 1", "b 2", "c 3", "d 4"), []string{
			"reload: backend d is new; no spare backend of its class is left",
			"new backend b in " + spare1, "new backend c in " + spare2, "add b/10.0.0.2:80 ready", "add c/10.0.0.3:80 ready",
			"map spares b=" + spare1 + " c=" + spare2 + " " + spare1 + "=b " + spare2 + "=c",
			"map routes */a/=a|2 */b/=" + spare1 + "|2 */c/=" + spare2 + "|2"}},
		{"a backend of another class needs a reload", spared(state("a 1"), nil), leastconn, []string{"reload: backend b is new; no loaded defaults section matches it"}},
		{"a stick table needs a reload", spared(state("a 1"), nil), sticky, []string{"reload: backend b is new, with a stick table"}},
		{"a spare with a server is not taken", spared(state("a 1"), func(r *haproxy.Running) {
			r.Servers[spare1] = servers("9")
		}), state("a 1", "b 2"), []string{
			"new backend b in " + spare2, "add b/10.0.0.2:80 ready", "map spares b=" + spare2 + " " + spare2 + "=b", "map routes */a/=a|2 */b/=" + spare2 + "|2",
			"set " + spare1 + "/10.0.0.9:80 maint", "delete " + spare1 + "/10.0.0.9:80 maint"}},
		{"a spare with an unmanaged server is not taken", spared(state("a 1"), func(r *haproxy.Running) {
			r.Unmanaged = map[string][]string{spare1: {"web1"}}
		}), state("a 1", "b 2"), []string{
			"new backend b in " + spare2, "add b/10.0.0.2:80 ready", "map spares b=" + spare2 + " " + spare2 + "=b", "map routes */a/=a|2 */b/=" + spare2 + "|2",
			"remove unmanaged server " + spare1 + "/web1"}},
		{"a spare to which a route leads is not taken", spared(state("a 1"), func(r *haproxy.Running) {
			r.Maps[2].Entries = []haproxy.MapEntry{{Key: "*/x/", Value: spare1 + "|2"}}
		}), state("a 1", "b 2"), []string{
			"new backend b in " + spare2, "add b/10.0.0.2:80 ready", "map spares b=" + spare2 + " " + spare2 + "=b", "map routes */a/=a|2 */b/=" + spare2 + "|2"}},
		{"what HAProxy rejected needs a reload", spared(state("a 1"), func(r *haproxy.Running) {
			r.Rejected = map[string]string{"b": "no."}
		}), state("a 1", "b 2"), []string{"reload: backend b is new; HAProxy rejected it at run time: no."}},
		{"no spare is taken if its name cannot be recorded", spared(state("a 1"), func(r *haproxy.Running) {
			r.AtReload = map[haproxy.Part]string{{Map: haproxy.SparesMap}: "too large"}
		}), state("a 1", "b 2"), []string{"reload: backend b is new"}},
		{"a HAProxy that adds backends needs no spare", dynamic(state("a 1"), func(r *haproxy.Running) {
			r.Loaded.SpareBackends = 2
		}), state("a 1", "b 2"), []string{"new backend b", "add b/10.0.0.2:80 ready", "publish b", "map routes */a/=a|2 */b/=b|2"}},
		{"a route leads to a spare before the servers of the old backend are removed", spared(state("a 1"), nil), moved, []string{
			"new backend b in " + spare1, "add b/10.0.0.2:80 ready", names, "map routes */a/=" + spare1 + "|2", "set a/10.0.0.1:80 maint", "delete a/10.0.0.1:80 maint"}},
		{"a backend in a spare needs nothing", taken(nil), state("a 1", "b 2"), nil},
		{"a backend in a spare changes like others", taken(nil), state("a 1", "b 3"), []string{
			"add b/10.0.0.3:80 ready", "set b/10.0.0.2:80 maint", "delete b/10.0.0.2:80 maint"}},
		{"other options of a backend in a spare need a reload", taken(nil), limited, []string{"reload: backend b changed its server options"}},
		{"an unwanted backend loses its routes and servers first", taken(nil), state("a 1"), []string{
			"map routes */a/=a|2", "set b/10.0.0.2:80 maint", "delete b/10.0.0.2:80 maint"}},
		{"it keeps its spare while a route leads there", taken(func(r *haproxy.Running) { r.Servers["b"] = nil }), state("a 1"), []string{"map routes */a/=a|2"}},
		{"it keeps its spare while it has a server", taken(func(r *haproxy.Running) {
			r.Servers["b"], r.Maps[2] = servers("2?"), state("a 1").Maps()[2]
		}), state("a 1"), []string{"delete b/10.0.0.2:80 maint"}},
		{"it keeps its spare while podgate.cfg may have a server", taken(func(r *haproxy.Running) {
			r.Servers["b"], r.Maps[2], r.Unwritten = nil, state("a 1").Maps()[2], map[string]bool{"b": true}
		}), state("a 1"), nil},
		{"it leaves its spare", taken(func(r *haproxy.Running) {
			r.Servers["b"], r.Maps[2] = nil, state("a 1").Maps()[2]
		}), state("a 1"), []string{"vacated b", "map spares"}},
		{"a spare that another backend leaves is taken by the next Plan", taken(func(r *haproxy.Running) {
			r.Servers["b"], r.Maps[2] = nil, state("a 1").Maps()[2]
			r.Servers[spare2] = servers("9?")
		}), state("a 1", "c 3"), []string{
			"reload: backend c is new; no spare backend of its class is left", "vacated b", "map spares", "delete " + spare2 + "/10.0.0.9:80 maint"}},
		{"names in HAProxy that another program changed are repaired", taken(func(r *haproxy.Running) { r.Maps[0].Entries = nil }), state("a 1", "b 2"), []string{names}},
	} {
		row.want.RuntimeBackends = row.have.AddsBackends
		t.Run(row.name, row.run)
	}
}

// TestSparesOfAProcess has what another program, or a podgate that was killed, may leave in
// HAProxy.
func TestSparesOfAProcess(t *testing.T) {
	have := spared(state("a 1"), func(r *haproxy.Running) { take(r, state("a 1", "b 2"), "b") })
	limited := *state("b").Backends.At(0)
	limited.Options.MaxConn = 9
	leastconn := *state("b").Backends.At(0)
	leastconn.Policy.Balance, leastconn.Options.MaxConn = haproxy.LeastConn, 9
	for name, row := range map[string]struct {
		names map[string]string
		known []*haproxy.Backend
		want  string
	}{
		"the same":                               {map[string]string{spare1: "b"}, nil, "a b@1 @2"},
		"no spare is taken":                      {nil, nil, "a @1 @2"},
		"another spare":                          {map[string]string{spare2: "b"}, nil, "a b@2 @1"},
		"another backend":                        {map[string]string{spare1: "c"}, nil, "a c@1? @2"},
		"one more backend":                       {map[string]string{spare1: "b", spare2: "c"}, []*haproxy.Backend{{Name: "d"}}, "a b@1 c@2?"},
		"a backend whose structure is known":     {map[string]string{spare1: "b"}, []*haproxy.Backend{&limited}, "a b@1/9 @2"},
		"a known structure of another class":     {map[string]string{spare1: "b"}, []*haproxy.Backend{&leastconn}, "a b@1 @2"},
		"a backend that has its own name":        {map[string]string{spare1: "a"}, nil, "a @1 @2"},
		"one backend in two spares":              {map[string]string{spare1: "c", spare2: "c"}, nil, "a c@1? @2"},
		"a spare that the process does not have": {map[string]string{spare1: "b", haproxy.SparePrefix + "x.1": "c"}, nil, "a b@1 @2"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			s := have.Loaded.WithSpareNames(row.names, row.known...)
			for _, b := range s.Backends.All() {
				text := b.Name
				if b.IsSpare() {
					text = ""
				}
				if b.Spare != "" {
					text += "@" + b.Spare[len(b.Spare)-1:]
				}
				if b.Options == (haproxy.Options{}) && !b.IsSpare() {
					text += "?"
				}
				if b.Options.MaxConn == 9 {
					text += "/9"
				}
				got = append(got, text)
			}
			slices.SortStableFunc(got, func(a, b string) int {
				return strings.Compare(strings.TrimPrefix(a, "@")+"", strings.TrimPrefix(b, "@"))
			})
			want := strings.Fields(row.want)
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n := s.CountBackends(); n != len(got)-strings.Count(" "+row.want, " @") {
				t.Errorf("%d backends without spares", n)
			}
		})
	}
}

// TestTheStateOfAProcessHasNoSpares is for the removal guard.
func TestTheStateOfAProcessHasNoSpares(t *testing.T) {
	want := state("a 1", "b 2")
	have := spared(state("a 1"), func(r *haproxy.Running) { take(r, want, "b") })
	if diff := cmp.Diff(want.String(), have.State().String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSparesAreOfEveryClassInHTTPMode(t *testing.T) {
	s := state("a 1", "b 2", "c 3", "d tcp 4")
	s.Backends.At(1).Policy.Balance = haproxy.LeastConn
	s.Backends.At(2).Policy.ClientAffinity = time.Hour
	s.SpareBackends = 3
	loaded := s.AsLoaded()
	if got := loaded.Backends.Len(); got != 4+2*3 {
		t.Errorf("%d backends", got)
	}
	if got := loaded.AsLoaded().Backends; !got.Same(loaded.Backends) {
		t.Errorf("AsLoaded adds more: %d", got.Len())
	}
	s.RuntimeBackends = true
	if got := s.AsLoaded().Backends.Len(); got != 4 {
		t.Errorf("%d backends with RuntimeBackends", got)
	}
}

// TestRulesLeadToSpares has a Route with weighted Targets, one of which is in a spare.
func TestRulesLeadToSpares(t *testing.T) {
	rules := func(lines ...string) haproxy.State {
		s := state(lines...)
		s.Settings.Rules = true
		return s
	}
	want := rules("a 1", "b 2")
	want.Routes = []haproxy.Route{{Path: "/x", Actions: &haproxy.Actions{Targets: []haproxy.Target{{Backend: "a", Weight: 1}, {Backend: "b", Weight: 2}}}}}
	have := spared(rules("a 1"), nil)
	p := haproxy.Diff(have, want)
	if len(p.Reload) > 0 || len(p.NewBackends) != 1 {
		t.Fatalf("the Plan is %v", steps(p))
	}
	have.Loaded = have.Loaded.WithBackends(p.NewBackends, nil)
	for _, m := range p.Maps {
		have.Maps[slices.IndexFunc(have.Maps, func(h haproxy.Map) bool { return h.Name == m.Name })] = m
		if m.LeadsTo("b") && m.Name == haproxy.RulesMap || m.Name == haproxy.RulesMap && !m.LeadsTo(spare1) {
			t.Errorf("the rule leads to %v", m.Entries)
		}
	}
	have.Servers["b"] = servers("2")
	if p := haproxy.Diff(have, want); !p.Empty() {
		t.Errorf("the next Plan is %v", steps(p))
	}
	if diff := cmp.Diff(want.String(), have.State().String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	request := haproxy.Request{Host: "any.test", Path: "/x"}
	for _, l := range want.TakingSpares(have.Loaded.SpareNames()).RuleLookups(request) {
		i := slices.IndexFunc(have.Maps, func(m haproxy.Map) bool { return m.Name == l.Map })
		if l.Found.Key != "" && !slices.Contains(have.Maps[i].Entries, l.Found) {
			t.Errorf("HAProxy has no %v in %s", l.Found, l.Map)
		}
	}
	have.Servers["b"] = nil
	without := rules("a 1")
	if p := haproxy.Diff(have, without); len(p.Vacated) > 0 {
		t.Error("b leaves its spare while a rule leads there")
	}
}
