// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A process that adds no backends at run time is loaded with a few empty backends of
// each class, its spares. A new backend takes a spare: it gets its servers there, and
// its routes lead there. HAProxy knows it by the name of the spare until the next reload,
// everything else by its own. SparesMap in the process contains which backend is in which
// spare, and so outlives podgate.

// SparePrefix is how the name of every spare begins, and of no other backend: a namespace
// has no dot.
const SparePrefix = "podgate-spare."

// newSpare returns a spare of a class.
func newSpare(class Policy, number int) *Backend {
	sum := sha256.Sum256([]byte(class.key()))
	name := fmt.Sprintf("%s%x.%d", SparePrefix, sum[:4], number)
	return &Backend{Name: name, Spare: name, Policy: class}
}

// IsSpare reports whether the backend is a spare that no other backend has taken.
func (b *Backend) IsSpare() bool { return b.Spare != "" && b.Spare == b.Name }

// inSpare reports whether the backend has taken a spare.
func (b *Backend) inSpare() bool { return b.Spare != "" && b.Spare != b.Name }

// ProxyName is the name of the backend in HAProxy: that of its spare, or its own.
func (b *Backend) ProxyName() string { return cmp.Or(b.Spare, b.Name) }

// withSpares returns s with SpareBackends spares of each class in HTTP mode.
func (s State) withSpares() State {
	taken := s.SpareNames()
	backends := s.Backends.Slice()
	for _, class := range s.Classes {
		if class.Mode != HTTP {
			continue
		}
		for n := range s.SpareBackends {
			if spare := newSpare(class, n+1); taken[spare.Name] == "" {
				backends = append(backends, spare)
			}
		}
	}
	slices.SortFunc(backends, func(a, b *Backend) int { return cmp.Compare(a.Name, b.Name) })
	s.Backends = ListOf(backends...)
	return s
}

// spares returns the spares that no other backend has taken.
func (s State) spares() []*Backend {
	from, _ := s.search(SparePrefix)
	var spares []*Backend
	for i := from; i < s.Backends.Len() && s.Backends.At(i).IsSpare(); i++ {
		spares = append(spares, s.Backends.At(i))
	}
	return spares
}

// CountBackends returns the number of Backends without the spares that are not taken.
func (s State) CountBackends() int {
	from, _ := s.search(SparePrefix)
	end, _ := s.Backends.Search(func(b *Backend) int {
		if strings.HasPrefix(b.Name, SparePrefix) {
			return -1
		}
		return cmp.Compare(b.Name, SparePrefix)
	})
	return s.Backends.Len() - (end - from)
}

// SpareNames returns the names of the backends in spares, by the names of the spares.
func (s State) SpareNames() map[string]string {
	var names map[string]string
	if s.SpareBackends == 0 {
		return nil
	}
	for _, b := range s.Backends.All() {
		if b.inSpare() {
			if names == nil {
				names = map[string]string{}
			}
			names[b.Spare] = b.Name
		}
	}
	return names
}

// InSpares returns s with its backends in the spares in which they are in loaded.
func (s State) InSpares(loaded State) State {
	if names := loaded.SpareNames(); len(names) > 0 {
		s = s.TakingSpares(names)
		s.SpareBackends = loaded.SpareBackends
	}
	return s
}

// TakingSpares returns s with its backends in spares, by the names that SpareNames returns.
func (s State) TakingSpares(names map[string]string) State {
	changed := map[int]*Backend{}
	for spare, name := range names {
		if i, ok := s.search(name); ok {
			b := *s.Backends.At(i)
			b.Spare = spare
			changed[i] = &b
		}
	}
	if len(changed) > 0 {
		s.SpareBackends = max(1, s.SpareBackends)
		s.Backends = s.Backends.With(changed)
	}
	return s
}

// WithoutSpares returns s such that AsLoaded adds no spares to it, for a file that only
// people read.
func (s State) WithoutSpares() State {
	if !s.RuntimeBackends && s.SpareBackends > 0 {
		s.Classes = s.classes()
	}
	return s
}

// leaveSpares returns s without spares: each backend has its own name in HAProxy.
func (s State) leaveSpares() State {
	backends := s.Backends.Slice()
	for i, b := range backends {
		if b.inSpare() {
			own := *b
			own.Spare = ""
			backends[i] = &own
		}
	}
	s.Backends = ListOf(slices.DeleteFunc(backends, (*Backend).IsSpare)...)
	return s
}

// spareEntries returns the entries of SparesMap: the backend in each spare, and the spare
// of each such backend.
func (s State) spareEntries() []MapEntry {
	var entries []MapEntry
	for spare, name := range s.SpareNames() {
		entries = append(entries, MapEntry{spare, name}, MapEntry{name, spare})
	}
	slices.SortFunc(entries, compareKeys)
	return entries
}

// SpareNames returns what State.SpareNames returns of the State of whose SparesMap m is.
func (m Map) SpareNames() map[string]string {
	names := map[string]string{}
	for _, e := range m.Entries {
		if strings.HasPrefix(e.Key, SparePrefix) {
			names[e.Key] = e.Value
		}
	}
	return names
}

// WithOwnName returns the entry with the name of a backend instead of that of the spare
// that it has taken.
func (e MapEntry) WithOwnName(names map[string]string) MapEntry {
	if name := names[e.backend()]; name != "" {
		e.Value = strings.Replace(e.Value, e.backend(), name, 1)
	}
	return e
}

// WithSpareNames returns a loaded State with its spares taken as in names, which the
// process that has loaded it returned. The structure of a backend that s does not have in
// that spare is the first of known with that name and the class of the spare. Without one,
// the backend has no Options, so that a reload follows.
func (s State) WithSpareNames(names map[string]string, known ...*Backend) State {
	var add []*Backend
	removed := map[string]bool{}
	free := map[string]*Backend{}
	for _, b := range s.Backends.All() {
		switch {
		case b.IsSpare():
			free[b.Name] = b
		case b.inSpare() && (names[b.Spare] != b.Name || slices.ContainsFunc(known, func(k *Backend) bool { return k.Name == b.Name })):
			free[b.Spare] = &Backend{Name: b.Spare, Policy: b.Policy.Class()}
			removed[b.Name] = true
			known = append(known, b)
		}
	}
	if len(removed) > 0 {
		s = s.WithBackends(nil, removed)
	}
	added := map[string]bool{}
	for _, spare := range sortedKeys(free) {
		name := names[spare]
		if _, other := s.Backend(name); name == "" || other || added[name] {
			continue
		}
		b := &Backend{Name: name, Policy: free[spare].Policy}
		if i := slices.IndexFunc(known, func(k *Backend) bool { return k.Name == name && k.Policy == b.Policy }); i >= 0 {
			b = new(*known[i])
		}
		b.Spare = spare
		add, added[name] = append(add, b), true
	}
	return s.WithBackends(add, nil)
}

// OwnNames returns names of servers in HAProxy, "backend/server", with the names of the
// backends instead of those of the spares that they have taken.
func (s State) OwnNames(servers []string) []string {
	names := s.SpareNames()
	own := slices.Clone(servers)
	for i, server := range own {
		if backend, rest, _ := strings.Cut(server, "/"); names[backend] != "" {
			own[i] = names[backend] + "/" + rest
		}
	}
	return own
}

// hasProxy returns a function that reports whether HAProxy has a backend by that name.
func (s State) hasProxy() func(name string) bool {
	taken := s.SpareNames()
	return func(name string) bool {
		b, ok := s.Backend(name)
		return ok && b.ProxyName() == name || taken[name] != ""
	}
}

// takesSpares reports whether backends can take the spares of the process.
func (r Running) takesSpares() bool {
	return r.Loaded.SpareBackends > 0 && !r.changesBackends() && r.AtReload[Part{Map: SparesMap}] == ""
}

// takeSpares returns the wanted backends that the process does not have and that take a
// spare, by name.
func (r Running) takeSpares(want State) map[string]*Backend {
	if !r.takesSpares() {
		return nil
	}
	var usable map[Policy][]*Backend
	var taken map[string]*Backend
	for b, w := range mergeBackends(r.Loaded.Backends, want.Backends) {
		if b != nil || !w.Dynamic() || r.Rejected[w.Name] != "" {
			continue
		}
		if usable == nil {
			usable, taken = r.usableSpares(), map[string]*Backend{}
		}
		if spares := usable[w.Policy]; len(spares) > 0 {
			in := *w
			in.Spare, in.Servers = spares[0].Name, nil
			taken[w.Name], usable[w.Policy] = &in, spares[1:]
		}
	}
	return taken
}

// usableSpares returns the spares without servers to which no route leads, by class.
func (r Running) usableSpares() map[Policy][]*Backend {
	usable := map[Policy][]*Backend{}
	leads := r.ledTo()
	for _, b := range r.Loaded.spares() {
		if r.isEmpty(b) && !leads[b.Name] {
			usable[b.Policy] = append(usable[b.Policy], b)
		}
	}
	return usable
}

// ledTo returns the backends, by their names in HAProxy, to which routes lead.
func (r Running) ledTo() map[string]bool {
	leads := map[string]bool{}
	rules := indexRules(r.Maps)
	for _, m := range r.Maps {
		if !isRoutesMap(m.Name) {
			continue
		}
		for _, e := range m.Entries {
			for _, name := range rules.backends(e) {
				leads[name] = true
			}
		}
	}
	return leads
}

func (r Running) isEmpty(b *Backend) bool {
	return len(r.Servers[b.Name])+len(r.Unmanaged[b.Name]) == 0
}

// mayVacate reports whether an unwanted backend can leave its spare for others: no server
// of it is left there, not even in the file with which HAProxy would start.
func (r Running) mayVacate(b *Backend) bool {
	return b.inSpare() && r.takesSpares() && r.isEmpty(b) && !r.Unwritten[b.Name] && !r.ledTo()[b.Spare]
}

// vacated returns the unwanted backends that leave their spares.
func (r Running) vacated(want State) []*Backend {
	if !r.takesSpares() {
		return nil
	}
	var vacated []*Backend
	for b, w := range mergeBackends(r.Loaded.Backends, want.Backends) {
		if w == nil && r.mayVacate(b) {
			vacated = append(vacated, b)
		}
	}
	return vacated
}

// wantedMaps returns the maps of want in the process after a Plan: routes and values of a
// backend in a spare have the name of that.
func (p *Plan) wantedMaps(loaded, want State) []Map {
	wanted := want.InSpares(loaded).Maps()
	for i := range wanted {
		if wanted[i].Name == SparesMap {
			gone := map[string]bool{}
			for _, b := range p.Vacated {
				gone[b.Name] = true
			}
			if len(gone) > 0 {
				loaded = loaded.WithBackends(nil, gone)
			}
			wanted[i].Entries = loaded.spareEntries()
		}
	}
	return wanted
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
