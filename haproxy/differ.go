// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"reflect"
	"slices"
)

// Differ is Diff for one HAProxy, again and again. While nothing but servers
// changes, it looks only at the backends whose servers do. It goes by pointers:
// what is in two States, or was observed twice, and is one, is not looked at.
// Between two calls a Running may change in place where the last Plan had
// something to do, and nowhere else.
//
// The zero value has seen nothing. It may not be used concurrently.
type Differ struct {
	have  Running
	want  State
	quiet bool   // the last Plan had nothing but changes of servers
	open  []pair // the backends of those, in their order
}

// pair is one backend: its index in Loaded and in what is wanted, there -1 where
// it is not.
type pair struct{ have, want int }

// Diff returns what Diff does.
func (d *Differ) Diff(have Running, want State) Plan {
	var p Plan
	if changed, ok := d.changed(have, want); ok {
		d.open = p.diffPairs(union(d.open, changed), have, want)
	} else {
		p = Diff(have, want)
		d.open = p.pairs(have, want)
	}
	d.have, d.want = have, want
	d.quiet = p.onlyServers()
	return p
}

// ReloadReasons returns what ReloadReasons does.
func (d *Differ) ReloadReasons(have Running, want State) []string {
	if _, ok := d.changed(have, want); ok {
		return nil
	}
	return ReloadReasons(have, want)
}

// union returns all of a and b, in their order.
func union(a, b []pair) []pair {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y pair) int { return cmp.Compare(x.have, y.have) })
	return slices.Compact(all)
}

// diffPairs adds to the Plan what is to be done about the servers of some
// backends, and about those that have lost their last, and returns those of which
// servers change.
func (p *Plan) diffPairs(some []pair, have Running, want State) []pair {
	open := some[:0]
	for _, x := range some {
		b := have.Loaded.Backends[x.have]
		var wanted []Server
		if x.want >= 0 {
			wanted = want.Backends[x.want].Servers
		}
		before := len(p.Add) + len(p.Leave)
		p.diffServers(b, have.Servers[b.Name], wanted)
		if len(p.Add)+len(p.Leave) > before {
			open = append(open, x)
		}
		if x.want < 0 && have.gone(b) {
			p.OldBackends = append(p.OldBackends, b)
		}
	}
	return open
}

// pairs returns the backends whose servers the Plan changes.
func (p *Plan) pairs(have Running, want State) []pair {
	var all []pair
	for _, c := range slices.Concat(p.Add, p.Leave) {
		if x, ok := pairOf(c.Backend.Name, have, want); ok {
			all = append(all, x)
		}
	}
	return union(all, nil)
}

// pairOf reports false for a backend that was not loaded.
func pairOf(name string, have Running, want State) (pair, bool) {
	compare := func(b *Backend, name string) int { return cmp.Compare(b.Name, name) }
	i, loaded := slices.BinarySearchFunc(have.Loaded.Backends, name, compare)
	j, wanted := slices.BinarySearchFunc(want.Backends, name, compare)
	if !wanted {
		j = -1
	}
	return pair{i, j}, loaded
}

// onlyServers reports whether the Plan has nothing but changes of servers.
func (p Plan) onlyServers() bool {
	p.Add, p.Leave = nil, nil
	return reflect.ValueOf(p).IsZero()
}

// changed returns the backends whose servers are wanted otherwise than in the
// last call. It reports false where it cannot be told that this is all that
// changed, or where something else was to be done already.
func (d *Differ) changed(have Running, want State) (changed []pair, ok bool) {
	if !d.quiet || !d.sameRunning(have) || !d.sameButBackends(want) || len(want.Backends) != len(d.want.Backends) {
		return nil, false
	}
	if same(want.Backends, d.want.Backends) {
		return nil, true
	}
	for i, b := range want.Backends {
		old := d.want.Backends[i]
		if b == old {
			continue
		}
		if !b.SameStructure(old) {
			return nil, false
		}
		if x, loaded := pairOf(b.Name, have, want); loaded {
			changed = append(changed, x)
		}
	}
	return changed, true
}

// sameRunning reports whether have is what it was. What is long is looked at
// only as far as to see that it is one.
func (d *Differ) sameRunning(have Running) bool {
	before := d.have
	if reflect.ValueOf(have.Servers).UnsafePointer() != reflect.ValueOf(before.Servers).UnsafePointer() ||
		!same(have.Loaded.Backends, before.Loaded.Backends) || !same(have.Maps, before.Maps) {
		return false
	}
	for _, r := range []*Running{&have, &before} {
		r.Servers, r.Maps, r.Loaded.Backends = nil, nil, nil
	}
	return reflect.DeepEqual(have, before)
}

// sameButBackends reports whether want is what it was, but for its Backends.
func (d *Differ) sameButBackends(want State) bool {
	before := d.want
	if !same(want.Routes, before.Routes) {
		return false
	}
	for _, s := range []*State{&want, &before} {
		s.Backends, s.Routes = nil, nil
	}
	return reflect.DeepEqual(want, before)
}

// same reports whether two lists are one, and not only equal.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
