// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"math"
	"net/netip"
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
	// Backends of which servers in maint are yet to be deleted, and nothing else
	// is to be done: who waits longest stands first.
	waiting []pair
	waits   map[pair]bool
}

// pair is one backend: its index in Loaded and in what is wanted, there -1 where
// it is not.
type pair struct{ have, want int }

// Diff returns what Diff does.
func (d *Differ) Diff(have Running, want State) Plan { return d.DiffSome(have, want, math.MaxInt) }

// DiffSome returns what Diff does, without the deletes of servers that are in
// maint already, but for those of n backends: another n with each call, or all of
// them where the Plan has more than changes of servers. They wait for the last
// connection of the server, and may be many.
func (d *Differ) DiffSome(have Running, want State, n int) Plan {
	var p Plan
	if changed, ok := d.changed(have, want); ok {
		d.open = d.diffPairs(&p, changed, n, have, want)
	} else {
		p = Diff(have, want)
		d.waiting, d.waits = nil, nil
		if n == 0 {
			d.holdAll(&p, have, want)
		}
		d.open = p.pairs(have, want)
	}
	d.have, d.want = have, want
	d.quiet = p.onlyServers()
	return p
}

// Waiting is how many backends have servers in maint that are yet to be deleted,
// and that the last Plan did nothing about.
func (d *Differ) Waiting() int { return len(d.waiting) }

// due takes n backends from those that wait.
func (d *Differ) due(n int) []pair {
	n = min(n, len(d.waiting))
	due := d.waiting[:n]
	d.waiting = d.waiting[n:]
	for _, x := range due {
		delete(d.waits, x)
	}
	return due
}

// await has a backend wait behind those that do.
func (d *Differ) await(x pair) {
	if d.waits == nil {
		d.waits = map[pair]bool{}
	}
	if !d.waits[x] {
		d.waits[x] = true
		d.waiting = append(d.waiting, x)
	}
}

// ReloadReasons returns what ReloadReasons does.
func (d *Differ) ReloadReasons(have Running, want State) Reasons {
	if _, ok := d.changed(have, want); ok {
		return nil
	}
	return ReloadReasons(have, want)
}

// union returns all of some lists, in their order.
func union(lists ...[]pair) []pair {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(x, y pair) int { return cmp.Compare(x.have, y.have) })
	return slices.Compact(all)
}

// diffPairs adds to the Plan what is to be done about the servers of backends that
// changed, that are open or that waited longest, and about those that have lost
// their last. It returns those of which servers change. Those that have deletes
// that can wait do, but for n.
func (d *Differ) diffPairs(p *Plan, changed []pair, n int, have Running, want State) []pair {
	due := d.due(n)
	more := n - len(due)
	isDue := make(map[pair]bool, len(due))
	for _, x := range due {
		isDue[x] = true
	}
	some := union(d.open, changed, due)
	open := some[:0]
	for _, x := range some {
		b := have.Loaded.Backends.At(x.have)
		var wanted []Server
		if x.want >= 0 {
			wanted = want.Backends.At(x.want).Servers
		}
		added, left := len(p.Add), len(p.Leave)
		p.diffServers(b, have.Servers[b.Name], wanted)
		waits := false
		switch {
		case isDue[x]:
		case more > 0:
			more--
		default:
			waits = p.hold(left, have)
		}
		switch {
		case len(p.Add) > added || len(p.Leave) > left:
			open = append(open, x)
		case waits:
			d.await(x)
		}
		if x.want < 0 && have.gone(b) {
			p.OldBackends = append(p.OldBackends, b)
		}
	}
	return open
}

// hold takes the deletes out of Leave, from one on, of servers that are in maint
// already, and reports whether there are any.
func (p *Plan) hold(from int, have Running) bool {
	rest := p.Leave[from:]
	kept := slices.DeleteFunc(rest, func(c ServerChange) bool {
		if c.Op != DeleteServer {
			return false
		}
		servers := have.Servers[c.Backend.Name]
		i, ok := slices.BinarySearchFunc(servers, c.Server.Addr, func(s Server, addr netip.AddrPort) int { return s.Addr.Compare(addr) })
		return ok && servers[i].State == Maint
	})
	p.Leave = p.Leave[:from+len(kept)]
	return len(kept) < len(rest)
}

// holdAll has all backends of the Plan wait that have nothing but deletes that
// can.
func (d *Differ) holdAll(p *Plan, have Running, want State) {
	all := p.pairs(have, want)
	if !p.hold(0, have) {
		return
	}
	open := p.pairs(have, want) // in the same order
	for _, x := range all {
		if len(open) > 0 && open[0] == x {
			open = open[1:]
			continue
		}
		d.await(x)
	}
}

// pairs returns the backends whose servers the Plan changes.
func (p *Plan) pairs(have Running, want State) []pair {
	var all []pair
	for _, c := range slices.Concat(p.Add, p.Leave) {
		if x, ok := pairOf(c.Backend.Name, have, want); ok {
			all = append(all, x)
		}
	}
	return union(all)
}

// pairOf reports false for a backend that was not loaded.
func pairOf(name string, have Running, want State) (pair, bool) {
	i, loaded := have.Loaded.search(name)
	j, wanted := want.search(name)
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
	if !d.quiet || !d.sameRunning(have) || !d.sameButBackends(want) || want.Backends.Len() != d.want.Backends.Len() {
		return nil, false
	}
	for i := range want.Backends.Changed(d.want.Backends) {
		b := want.Backends.At(i)
		if !b.SameStructure(d.want.Backends.At(i)) {
			return nil, false
		}
		if at, loaded := have.Loaded.searchAt(i, b.Name); loaded {
			changed = append(changed, pair{at, i})
		}
	}
	return changed, true
}

// sameRunning reports whether have is what it was. What is long is looked at
// only as far as to see that it is one.
func (d *Differ) sameRunning(have Running) bool {
	before := &d.have
	return sameMap(have.Servers, before.Servers) && Same(have.Maps, before.Maps) &&
		have.Loaded.Backends.Same(before.Loaded.Backends) && equal(have.Loaded.Routes, before.Loaded.Routes) &&
		have.Loaded.equalButLists(&before.Loaded) &&
		equal(have.Certificates, before.Certificates) &&
		equalMaps(have.Unmanaged, before.Unmanaged) &&
		have.AddsBackends == before.AddsBackends &&
		equalMaps(have.Unpublished, before.Unpublished) &&
		equalMaps(have.Rejected, before.Rejected)
}

// sameButBackends reports whether want is what it was, but for its Backends.
func (d *Differ) sameButBackends(want State) bool {
	return Same(want.Routes, d.want.Routes) && want.equalButLists(&d.want)
}
