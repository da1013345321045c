// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/haproxy"
)

// TestDifferWalk makes random changes, mostly of servers, applies each Plan wholly,
// partly or not, and compares every Plan with that of Diff.
func TestDifferWalk(t *testing.T) {
	total, backends, vacated := 0, 0, 0
	for seed := range uint64(50) {
		w := newDifferWalk(seed, 1)
		var d haproxy.Differ
		for step := range 200 {
			w.change()
			want := haproxy.Diff(w.have, w.want)
			got := d.Diff(w.have, w.want)
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
				t.Fatalf("seed %d step %d (-Diff +Differ):\n%s", seed, step, diff)
			}
			w.apply(got)
			reasons := haproxy.ReloadReasons(w.have, w.want)
			if diff := cmp.Diff(reasons, d.ReloadReasons(w.have, w.want)); diff != "" {
				t.Fatalf("seed %d step %d (-ReloadReasons +Differ):\n%s", seed, step, diff)
			}
			if len(got.Add)+len(got.Leave) > 0 {
				total++
			}
			backends += len(got.NewBackends) + len(got.OldBackends)
			vacated += len(got.Vacated)
		}
	}
	if total < 1000 {
		t.Errorf("only %d Plans changed servers", total)
	}
	if backends < 100 {
		t.Errorf("only %d backends were added or deleted without a reload", backends)
	}
	if vacated < 5 {
		t.Errorf("only %d backends left their spares", vacated)
	}
}

// TestDiffSomeWalk is TestDifferWalk with Plans that postpone deletes.
func TestDiffSomeWalk(t *testing.T) {
	waited, due := 0, 0
	for seed := range uint64(25) {
		w := newDifferWalk(seed, 2)
		var d haproxy.Differ
		for step := range 200 {
			w.change()
			all := haproxy.Diff(w.have, w.want)
			n := w.IntN(3)
			got := d.DiffSome(w.have, w.want, n)
			some := map[string]bool{} // backends whose deletes are in the Plan
			want := all
			want.Leave = nil
			waiting := map[string]bool{}
			for _, c := range all.Leave {
				if !w.canWait(c) {
					want.Leave = append(want.Leave, c)
					continue
				}
				if slices.ContainsFunc(got.Leave, func(g haproxy.ServerChange) bool { return g.String() == c.String() }) {
					some[c.Backend.Name] = true
					want.Leave = append(want.Leave, c)
				} else {
					waiting[c.Backend.Name] = true
				}
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d step %d (-Diff +DiffSome):\n%s", seed, step, diff)
			}
			for name := range some {
				if waiting[name] {
					t.Fatalf("seed %d step %d: some of the deletes of %s wait, and some do not", seed, step, name)
				}
			}
			if n == 0 && len(some) > 0 {
				t.Fatalf("seed %d step %d: %v do not wait", seed, step, some)
			}
			waited += len(waiting)
			due += len(some)
			w.apply(got)
		}
	}
	if waited < 500 || due < 200 {
		t.Errorf("only %d deletes waited, %d did not", waited, due)
	}
}

// TestEveryDeleteThatWaitsHasItsTurn has five backends, each with a server in maint
// that still has connections.
func TestEveryDeleteThatWaitsHasItsTurn(t *testing.T) {
	want := state("a 1", "b 1", "c 1", "d 1", "e 1")
	have := running(state("a 1 2", "b 1 2", "c 1 2", "d 1 2", "e 1 2"))
	var d haproxy.Differ
	backends := func(n int) (names []string) {
		for _, c := range d.DiffSome(have, want, n).Leave {
			if c.Op == haproxy.SetServer { // which is done, while the delete is not
				list := slices.Clone(have.Servers[c.Backend.Name])
				i := slices.IndexFunc(list, func(s haproxy.Server) bool { return s.Addr == c.Server.Addr })
				list[i].State = haproxy.Maint
				have.Servers[c.Backend.Name] = list
				continue
			}
			names = append(names, c.Backend.Name)
		}
		return names
	}
	for i, step := range []struct {
		n       int
		names   string
		waiting int
	}{
		{0, "a b c d e", 0}, // the servers were not in maint yet, so no delete waits
		{0, "", 5},
		{2, "a b", 3},
		{2, "c d", 3},
		{0, "", 5},
		{2, "a e", 3},
		{9, "a b c d e", 0},
	} {
		names := strings.Join(backends(step.n), " ")
		if names != step.names || d.Waiting() != step.waiting {
			t.Fatalf("step %d: %q are deleted and %d wait, want %q and %d", i, names, d.Waiting(), step.names, step.waiting)
		}
	}
}

// canWait reports whether a change deletes a server that is in maint already.
func (w *differWalk) canWait(c haproxy.ServerChange) bool {
	return c.Op == haproxy.DeleteServer && slices.ContainsFunc(w.have.Servers[c.Backend.Name], func(s haproxy.Server) bool {
		return s.Addr == c.Server.Addr && s.State == haproxy.Maint
	})
}

// differWalk is a HAProxy and the State that it should serve.
type differWalk struct {
	*rand.Rand
	addrs        []haproxy.Server
	have         haproxy.Running
	want         haproxy.State
	addsBackends bool // HAProxy adds backends at run time
	spares       int  // of each class
}

func newDifferWalk(seed, stream uint64) *differWalk {
	w := &differWalk{Rand: rand.New(rand.NewPCG(seed, stream)), addrs: servers("1", "2", "3", "4", "5", "6!", "7"), addsBackends: seed%3 == 1, spares: int(seed % 3)}
	w.want = w.state("a 1", "b 2", "c tcp 3")
	w.observe(w.want)
	return w
}

// state is the function state, for this HAProxy.
func (w *differWalk) state(lines ...string) haproxy.State {
	s := state(lines...)
	s.RuntimeBackends, s.SpareBackends = w.addsBackends, w.spares
	return s
}

// one is true once in n calls on average.
func (w *differWalk) one(n int) bool { return w.IntN(n) == 0 }

// change changes want, which then shares its unchanged parts with the State before,
// or observes have again.
func (w *differWalk) change() {
	i := w.IntN(w.want.Backends.Len())
	switch w.IntN(32) {
	default:
		w.replace(i, func(b *haproxy.Backend) { b.Servers = w.servers() })
	case 0:
		w.replace(i, func(b *haproxy.Backend) { b.Servers = slices.Clone(b.Servers) })
	case 1:
		w.replace(i, func(b *haproxy.Backend) { b.Policy.Balance = haproxy.Balances()[w.IntN(2)] })
	case 2:
		w.replace(i, func(b *haproxy.Backend) { b.TimeoutServer = time.Duration(w.IntN(2)) * time.Minute })
	case 3:
		w.want.Routes = slices.Clone(w.want.Routes)
		for i := range w.want.Routes {
			w.want.Routes[i].Backend = []string{"a", "b"}[w.IntN(2)]
		}
	case 4:
		w.want.Frontends = slices.Clone(w.want.Frontends)
		w.want.Frontends[0].Relay = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(w.IntN(2)))
	case 5:
		w.want.Settings.HardStopAfter = time.Duration(w.IntN(2)) * time.Hour
	case 6:
		others := [][]string{{"a 1", "b 2", "c tcp 3"}, {"a 1", "b 2", "c tcp 3", "d 4"}, {"a 1", "b 2"}}
		w.want = w.state(others[w.IntN(len(others))]...)
	case 7:
		w.observe(w.have.Loaded)
	case 8:
		w.observe(w.have.Loaded)
		w.have.Servers["a"] = w.servers() // drift
	case 9:
		w.observe(w.have.Loaded)
		w.have.Unmanaged = map[string][]string{"b": {"x"}}
	case 10, 11, 12:
		w.observe(w.want) // a reload
	case 13:
		w.have.Loaded = w.state("a 1", "c tcp 3").Structure()
	case 14:
		w.have.Maps = state("a 1").Maps()
	case 15:
		w.have.Unpublished = map[string]bool{"b": w.one(2)}
	case 16:
		w.have.Rejected = map[string]string{"d": "no"}
	case 17:
		w.have.Unmanaged = map[string][]string{"a": {"y"}}
	case 18:
		w.have.Unwritten = map[string]bool{"d": w.one(2)}
	}
}

func (w *differWalk) replace(i int, change func(*haproxy.Backend)) {
	b := new(*w.want.Backends.At(i))
	change(b)
	w.want.Backends = w.want.Backends.With(map[int]*haproxy.Backend{i: b})
}

func (w *differWalk) servers() []haproxy.Server {
	return slices.DeleteFunc(slices.Clone(w.addrs), func(haproxy.Server) bool { return w.one(2) })
}

// observe sets have to what an observation of a HAProxy returns that has loaded s.
func (w *differWalk) observe(s haproxy.State) {
	have := haproxy.Running{AddsBackends: w.addsBackends, Loaded: s.Structure(), Servers: map[string][]haproxy.Server{}, Maps: w.have.Maps}
	for _, b := range s.Backends.All() {
		if list := w.have.Servers[b.Name]; list != nil {
			have.Servers[b.Name] = slices.Clone(list)
		}
	}
	w.have = have
}

// apply applies the Plan or, at random, only some of its deletes or nothing.
func (w *differWalk) apply(p haproxy.Plan) {
	if w.one(8) {
		return
	}
	touched := map[string]map[netip.AddrPort]haproxy.Server{}
	for _, c := range slices.Concat(p.Add, p.Leave) {
		name := c.Backend.Name
		if touched[name] == nil {
			touched[name] = map[netip.AddrPort]haproxy.Server{}
			for _, s := range w.have.Servers[name] {
				touched[name][s.Addr] = s
			}
		}
		if c.Op != haproxy.DeleteServer {
			touched[name][c.Server.Addr] = c.Server
		} else if !w.one(3) {
			delete(touched[name], c.Server.Addr)
		}
	}
	for name, byAddr := range touched {
		list := slices.SortedFunc(maps.Values(byAddr), func(a, b haproxy.Server) int { return a.Addr.Compare(b.Addr) })
		if b, ok := w.want.Backend(name); ok && slices.Equal(list, b.Servers) {
			list = b.Servers
		}
		w.have.Servers[name] = list
	}
	if len(p.Maps) > 0 {
		w.have.Maps = slices.Clone(w.want.InSpares(w.have.Loaded).Maps())
		for i, m := range w.have.Maps {
			for _, planned := range p.Maps {
				if planned.Name == m.Name {
					w.have.Maps[i] = planned
				}
			}
		}
	}
	w.have.Unmanaged = nil
	if len(p.NewBackends)+len(p.Publish)+len(p.OldBackends)+len(p.Vacated) > 0 && !w.one(3) {
		deleted := map[string]bool{}
		for _, b := range slices.Concat(p.OldBackends, p.Vacated) {
			deleted[b.Name] = true
		}
		w.have.Loaded = w.have.Loaded.WithBackends(p.NewBackends, deleted)
		w.have.Unpublished = nil
	}
}

// largeState returns a State with 5,000 backends of 20 servers, and the same State
// with the servers of one backend from an index on.
func largeState(from int) (before, after haproxy.State) {
	var lines []string
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf("shop_svc%04d_80 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", i))
	}
	before = state(lines...)
	after = before
	fewer := new(*before.Backends.At(7))
	fewer.Servers = fewer.Servers[from:]
	after.Backends = before.Backends.With(map[int]*haproxy.Backend{7: fewer})
	return before, after
}

// BenchmarkDiffer removes one server of 100,000 and adds it again.
func BenchmarkDiffer(b *testing.B) {
	before, after := largeState(1)
	have := running(before)
	for name, diff := range map[string]func(haproxy.Running, haproxy.State) haproxy.Plan{
		"Differ": new(haproxy.Differ).Diff, "Diff": haproxy.Diff,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, want := range []haproxy.State{after, before} {
					if p := diff(have, want); len(p.Leave)+len(p.Add) == 0 {
						b.Fatal("the Plan changes no server")
					}
					changed := want.Backends.At(7)
					have.Servers[changed.Name] = changed.Servers
					if p := diff(have, want); !p.Empty() {
						b.Fatal(p)
					}
				}
			}
		})
	}
}
