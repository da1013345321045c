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
	quiet bool     // the last Plan had nothing but changes of servers
	open  []string // the backends of those, sorted
}

// Diff returns what Diff does.
func (d *Differ) Diff(have Running, want State) Plan {
	changed, ok := d.changed(have, want)
	var p Plan
	if ok {
		p = d.diffServers(have, want, changed)
	} else {
		p = Diff(have, want)
	}
	d.have, d.want = have, want
	d.quiet = p.onlyServers()
	d.open = d.open[:0]
	for _, changes := range [][]ServerChange{p.Add, p.Leave} {
		for _, c := range changes {
			d.open = append(d.open, c.Backend.Name)
		}
	}
	slices.Sort(d.open)
	d.open = slices.Compact(d.open)
	return p
}

// ReloadReasons returns what ReloadReasons does.
func (d *Differ) ReloadReasons(have Running, want State) []string {
	if _, ok := d.changed(have, want); ok {
		return nil
	}
	return ReloadReasons(have.Loaded, want)
}

// diffServers is Diff where only the servers of the named backends can differ.
func (d *Differ) diffServers(have Running, want State, names []string) Plan {
	names = slices.Concat(names, d.open)
	slices.Sort(names)
	var p Plan
	for _, name := range slices.Compact(names) {
		i, ok := slices.BinarySearchFunc(have.Loaded.Backends, name, compareName)
		if !ok {
			continue
		}
		wanted, _ := want.Backend(name)
		p.diffServers(have.Loaded.Backends[i], have.Servers[name], wanted.Servers)
	}
	return p
}

func compareName(b *Backend, name string) int { return cmp.Compare(b.Name, name) }

// onlyServers reports whether the Plan has nothing but changes of servers.
func (p Plan) onlyServers() bool {
	p.Add, p.Leave = nil, nil
	return reflect.ValueOf(p).IsZero()
}

// changed returns the backends whose servers are wanted otherwise than in the
// last call. It reports false where it cannot be told that this is all that
// changed, or where something else was to be done already.
func (d *Differ) changed(have Running, want State) (names []string, ok bool) {
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
		names = append(names, b.Name)
	}
	return names, true
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
