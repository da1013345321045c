// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
)

// Dynamic reports whether HAProxy 3.4 and newer can add and delete the backend at
// run time (management.txt "add backend"): its class, servers and map entries
// describe it completely. A backend needs a reload if it has a stick table, which a
// defaults section cannot declare, if it is in TCP mode, because its frontend needs
// a reload too, or if it verifies servers, because HAProxy reads the authorities
// only while it loads a configuration.
func (b *Backend) Dynamic() bool {
	return b.Policy.Mode == HTTP && b.Policy.ClientAffinity == 0 && b.Options.CAFile == ""
}

// Class returns the part of p that a named defaults section declares. All backends
// of one class share that section.
func (p Policy) Class() Policy {
	p.ClientAffinity = 0
	return p
}

// AsLoaded returns s with Classes and DynamicHash or the spares, which describe a process
// that loads s for as long as it runs. It returns s itself if they are set already, and
// without RuntimeBackends and SpareBackends. With Settings.Rules it also sets HeaderNames.
func (s State) AsLoaded() State {
	s.HeaderNames = s.headerNames()
	switch {
	case s.RuntimeBackends && s.DynamicHash == "":
		s.Classes, s.DynamicHash = s.classes(), s.dynamicHash()
	case !s.RuntimeBackends && s.SpareBackends > 0 && len(s.Classes) == 0:
		s.Classes = s.classes()
		return s.withSpares()
	}
	return s
}

// classes returns s.Classes and the classes of all backends, sorted.
func (s State) classes() []Policy {
	classes := map[Policy]bool{}
	for _, p := range s.Classes {
		classes[p.Class()] = true
	}
	for _, b := range s.Backends.All() {
		classes[b.Policy.Class()] = true
	}
	return slices.SortedFunc(maps.Keys(classes), func(a, b Policy) int { return cmp.Compare(a.key(), b.key()) })
}

func (s State) dynamicHash() string {
	sum := sha256.New()
	for _, b := range s.Backends.All() {
		if b.Dynamic() {
			fmt.Fprintf(sum, "%s %s %s\n", b.Name, b.Policy.key(), b.Options.key())
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:6])
}

// key contains all fields of a Policy. podgate.cfg and podgate.loaded.json hold
// hashes of it, so a different key for the same Policy costs every edge node a
// reload. Append a new field only if its value is not zero.
func (p Policy) key() string {
	return fmt.Sprintf("{Mode:%s Balance:%s Cookie:%s CookieKey:%s ClientAffinity:%s CheckPath:%s TimeoutConnect:%s AllowSource:%s}",
		p.Mode, p.Balance, p.Cookie, p.CookieKey, p.ClientAffinity, p.CheckPath, p.TimeoutConnect, p.AllowSource)
}

// key contains all fields of Options, for the same use.
func (o Options) key() string {
	return fmt.Sprintf("{Protocol:%s Check:%t CheckInterval:%s MaxConn:%d SendProxy:%s SlowStart:%s CAFile:%s ServerName:%s}",
		o.Protocol, o.Check, o.CheckInterval, o.MaxConn, o.SendProxy, o.SlowStart, o.CAFile, o.ServerName)
}

// WithBackends returns s with the backends of add, without servers, and without the
// backends named in deleted. A spare that an added one takes is not in Backends, one that a
// deleted one leaves is.
func (s State) WithBackends(add []*Backend, deleted map[string]bool) State {
	taken := map[string]bool{}
	for _, b := range add {
		taken[b.Spare] = true
	}
	var vacated []*Backend
	kept := slices.DeleteFunc(s.Backends.Slice(), func(b *Backend) bool {
		if deleted[b.Name] && b.inSpare() {
			vacated = append(vacated, &Backend{Name: b.Spare, Spare: b.Spare, Policy: b.Policy.Class()})
		}
		return deleted[b.Name] || b.IsSpare() && taken[b.Name]
	})
	for _, b := range slices.Concat(add, vacated) {
		bare := *b
		bare.Servers = nil
		i, found := slices.BinarySearchFunc(kept, b.Name, func(b *Backend, n string) int { return cmp.Compare(b.Name, n) })
		if found {
			kept[i] = &bare
		} else {
			kept = slices.Insert(kept, i, &bare)
		}
	}
	s.Backends = ListOf(kept...)
	return s
}

// changesBackends reports whether dynamic backends can be added to the process and
// deleted from it.
func (r Running) changesBackends() bool { return r.AddsBackends && r.Loaded.RuntimeBackends }

// diffBackends plans which backends to add, publish and vacate. It returns the loaded
// State with the added backends.
func (p *Plan) diffBackends(have Running, want State) State {
	if !have.changesBackends() {
		taken := have.takeSpares(want)
		for _, name := range sortedKeys(taken) {
			p.NewBackends = append(p.NewBackends, taken[name])
		}
		p.Vacated = have.vacated(want)
		if len(p.NewBackends) == 0 {
			return have.Loaded
		}
		return have.Loaded.WithBackends(p.NewBackends, nil)
	}
	for b, w := range mergeBackends(have.Loaded.Backends, want.Backends) {
		switch {
		case w == nil:
		case b == nil && have.addsAtRuntime(w):
			p.NewBackends = append(p.NewBackends, w)
			p.Publish = append(p.Publish, w.Name)
		case b != nil && have.Unpublished[b.Name]:
			p.Publish = append(p.Publish, b.Name)
		}
	}
	if len(p.NewBackends) == 0 {
		return have.Loaded
	}
	return have.Loaded.WithBackends(p.NewBackends, nil)
}

// canDelete reports whether an unwanted backend can be deleted without a reload: it
// has no servers left.
func (r Running) canDelete(b *Backend) bool {
	return r.changesBackends() && b.Dynamic() && r.Rejected[b.Name] == "" && len(r.Servers[b.Name])+len(r.Unmanaged[b.Name]) == 0
}
