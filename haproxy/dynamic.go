// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
)

// Light reports whether the named defaults section of the backend's Policy, its
// class, holds all of it that stands neither in its servers nor in a map. HAProxy
// 3.4 and newer take such a backend, and give it up, while they run (management.txt
// "add backend"). A stick table cannot stand in defaults; a TCP backend comes and
// goes with its frontend, by a reload; and authorities are read from their file
// when that is loaded.
func (b *Backend) Light() bool {
	return b.Policy.Mode == HTTP && b.Policy.ClientAffinity == 0 && b.Options.CAFile == ""
}

// Class is what of p its named defaults section holds.
func (p Policy) Class() Policy {
	p.ClientAffinity = 0
	return p
}

// Pinned is s as a process that loads it is remembered from then on: with the
// Classes and the Edition that it begins with. Where light backends are loaded
// with all others, and in a State that is pinned, that is s.
func (s State) Pinned() State {
	if !s.RuntimeBackends || s.Edition != "" {
		return s
	}
	s.Classes, s.Edition = s.classes(), s.edition()
	return s
}

// classes are those of all backends and Classes, sorted.
func (s State) classes() []Policy {
	known := map[Policy]bool{}
	var all []Policy
	add := func(p Policy) {
		if p = p.Class(); !known[p] {
			known[p] = true
			all = append(all, p)
		}
	}
	for _, p := range s.Classes {
		add(p)
	}
	for _, b := range s.Backends.All() {
		add(b.Policy)
	}
	slices.SortFunc(all, func(a, b Policy) int { return cmp.Compare(a.key(), b.key()) })
	return all
}

func (s State) edition() string {
	sum := sha256.New()
	for _, b := range s.Backends.All() {
		if b.Light() {
			fmt.Fprintf(sum, "%s %s %s\n", b.Name, b.Policy.key(), b.Options.key())
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:6])
}

// key is all fields of a Policy. It is part of hashes that are kept in podgate.cfg
// and podgate.loaded.json: another key of the same Policy costs every edge a reload.
// Append a new field, and only where it is not zero.
func (p Policy) key() string {
	return fmt.Sprintf("{Mode:%s Balance:%s Cookie:%s CookieKey:%s ClientAffinity:%s CheckPath:%s TimeoutConnect:%s AllowSource:%s}",
		p.Mode, p.Balance, p.Cookie, p.CookieKey, p.ClientAffinity, p.CheckPath, p.TimeoutConnect, p.AllowSource)
}

// key is all fields of Options, for the same use.
func (o Options) key() string {
	return fmt.Sprintf("{Protocol:%s Check:%t CheckInterval:%s MaxConn:%d SendProxy:%s SlowStart:%s CAFile:%s ServerName:%s}",
		o.Protocol, o.Check, o.CheckInterval, o.MaxConn, o.SendProxy, o.SlowStart, o.CAFile, o.ServerName)
}

// WithBackends returns s with the backends of add, without servers, and without
// those named in gone.
func (s State) WithBackends(add []*Backend, gone map[string]bool) State {
	kept := slices.DeleteFunc(s.Backends.Slice(), func(b *Backend) bool { return gone[b.Name] })
	for _, b := range add {
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

// atRuntime reports whether light backends come and go while the process runs.
func (r Running) atRuntime() bool { return r.AddsBackends && r.Loaded.RuntimeBackends }

// diffBackends plans the backends that the process has yet to take or is to lead
// requests to again. It returns what is loaded then.
func (p *Plan) diffBackends(have Running, want State) State {
	if !have.atRuntime() {
		return have.Loaded
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

// gone reports whether a backend that is not wanted can be taken out of the
// process: nothing is left in it.
func (r Running) gone(b *Backend) bool {
	return r.atRuntime() && b.Light() && r.Rejected[b.Name] == "" && len(r.Servers[b.Name])+len(r.Unmanaged[b.Name]) == 0
}
