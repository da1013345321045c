// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"math"
	"net/netip"
	"reflect"
	"slices"
)

// Differ computes what Diff computes, for successive states of one HAProxy. While
// only servers change, it examines only the backends whose servers changed. It
// compares pointers: it treats parts that two calls share as equal without reading
// them. So between two calls the caller may change a Running in place only where the
// last Plan had changes.
//
// The zero value is ready to use. It may not be used concurrently.
type Differ struct {
	have  Running
	want  State
	quiet bool   // the last Plan changed only servers
	open  []pair // the backends whose servers it changed, in order
	// waiting are the backends with nothing to do except deletes of servers in maint,
	// which the last Plan omitted; the one that waits longest is first.
	waiting []pair
	waits   map[pair]bool // the set of waiting
}

// pair is one backend: its index in Loaded, and in the wanted State or -1.
type pair struct{ have, want int }

// Diff is the function Diff.
func (d *Differ) Diff(have Running, want State) Plan { return d.DiffSome(have, want, math.MaxInt) }

// DiffSome is Diff with fewer deletes. Servers in maint that wait for the end of
// their last connection may be many, so each call returns the deletes of only n
// backends, in turn. It returns all of them if the Plan changes more than servers.
func (d *Differ) DiffSome(have Running, want State, n int) Plan {
	var p Plan
	changed, ok := d.changed(have, want)
	if ok {
		d.open, ok = d.diffPairs(&p, changed, n, have, want)
	}
	if !ok {
		p = Diff(have, want)
		d.waiting, d.waits = nil, nil
		if n == 0 {
			d.postponeAll(&p, have, want)
		}
		d.open = p.pairs(have, want)
	}
	d.have, d.want = have, want
	d.quiet = p.onlyServers()
	return p
}

// Waiting is the number of backends whose deletes the last Plan omitted.
func (d *Differ) Waiting() int { return len(d.waiting) }

// due removes the n backends that wait longest from waiting and returns them.
func (d *Differ) due(n int) []pair {
	n = min(n, len(d.waiting))
	due := d.waiting[:n]
	d.waiting = d.waiting[n:]
	for _, x := range due {
		delete(d.waits, x)
	}
	return due
}

// await adds a backend to the end of waiting.
func (d *Differ) await(x pair) {
	if d.waits == nil {
		d.waits = map[pair]bool{}
	}
	if !d.waits[x] {
		d.waits[x] = true
		d.waiting = append(d.waiting, x)
	}
}

// ReloadReasons is the function ReloadReasons.
func (d *Differ) ReloadReasons(have Running, want State) Reasons {
	if _, ok := d.changed(have, want); ok {
		return nil
	}
	return ReloadReasons(have, want)
}

// union returns the pairs of all lists, sorted and without duplicates.
func union(lists ...[]pair) []pair {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(x, y pair) int { return cmp.Compare(x.have, y.have) })
	return slices.Compact(all)
}

// diffPairs plans the server changes of the backends in changed, in open and of the
// n that wait longest, and the deletion of those that have no server left. It
// returns the backends whose servers the Plan changes, and lets those wait for which
// it postponed deletes. It returns false if a backend leaves its spare, which changes a
// map too.
func (d *Differ) diffPairs(p *Plan, changed []pair, n int, have Running, want State) ([]pair, bool) {
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
		p.diffServers(b, have, wanted)
		waits := false
		switch {
		case isDue[x]:
		case more > 0:
			more--
		default:
			waits = p.postpone(left, have)
		}
		switch {
		case len(p.Add) > added || len(p.Leave) > left:
			open = append(open, x)
		case waits:
			d.await(x)
		}
		if x.want < 0 && have.canDelete(b) {
			p.OldBackends = append(p.OldBackends, b)
		}
		if x.want < 0 && have.mayVacate(b) {
			return nil, false
		}
	}
	return open, true
}

// postpone removes the deletes of servers that are in maint already from
// p.Leave[from:], and reports whether there were any.
func (p *Plan) postpone(from int, have Running) bool {
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

// postponeAll postpones the deletes of all backends, and lets those wait that the
// Plan then no longer changes.
func (d *Differ) postponeAll(p *Plan, have Running, want State) {
	all := p.pairs(have, want)
	if !p.postpone(0, have) {
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

// pairOf returns false for a backend that was not loaded.
func pairOf(name string, have Running, want State) (pair, bool) {
	i, loaded := have.Loaded.search(name)
	j, wanted := want.search(name)
	if !wanted {
		j = -1
	}
	return pair{i, j}, loaded
}

// onlyServers reports whether the Plan changes only servers.
func (p Plan) onlyServers() bool {
	p.Add, p.Leave = nil, nil
	return reflect.ValueOf(p).IsZero()
}

// changed returns the backends whose wanted servers differ from those of the last
// call. It returns false if something else changed too, or if the last Plan changed
// more than servers. It returns false as well while a reload has to apply a Part.
func (d *Differ) changed(have Running, want State) (changed []pair, ok bool) {
	if !d.quiet || len(have.AtReload) > 0 || !d.sameRunning(have) || !d.sameButBackends(want) || want.Backends.Len() != d.want.Backends.Len() {
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

// sameRunning reports whether have equals that of the last call. It compares the
// long parts by their pointers only.
func (d *Differ) sameRunning(have Running) bool {
	before := &d.have
	return sameMap(have.Servers, before.Servers) && Same(have.Maps, before.Maps) &&
		have.Loaded.Backends.Same(before.Loaded.Backends) && equal(have.Loaded.Routes, before.Loaded.Routes) &&
		have.Loaded.equalButLists(&before.Loaded) &&
		equal(have.Certificates, before.Certificates) &&
		equalMaps(have.Unmanaged, before.Unmanaged) &&
		equalMaps(have.AtReload, before.AtReload) &&
		have.AddsBackends == before.AddsBackends &&
		equalMaps(have.Unpublished, before.Unpublished) &&
		equalMaps(have.Rejected, before.Rejected) &&
		equalMaps(have.Unwritten, before.Unwritten)
}

// sameButBackends reports whether want, except for its Backends, equals that of the
// last call.
func (d *Differ) sameButBackends(want State) bool {
	return Same(want.Routes, d.want.Routes) && want.equalButLists(&d.want)
}
