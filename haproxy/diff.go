// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
)

// Running is what a HAProxy process serves.
type Running struct {
	// Loaded is the State whose configuration the process loaded: its
	// Settings, Frontends and Backends. Its Servers and Routes may have changed
	// since and are not looked at.
	Loaded State
	// Servers are those observed, by backend, each list sorted by Addr.
	Servers map[string][]Server
	// Maps are those observed, in the order of MapNames.
	Maps []Map
	// Certificates are those observed, by Name. One that is not in our folder
	// has the whole path for a Name.
	Certificates []Certificate
	// Unmanaged are the names of servers in podgate's backends that podgate did not
	// add, by backend: a name that is not an address.
	Unmanaged map[string][]string

	// AddsBackends says that the process adds and deletes backends at run time. The
	// fields below have a meaning only then.
	AddsBackends bool
	// Unpublished are backends of Loaded that HAProxy leads no request to.
	Unpublished map[string]bool
	// Rejected are the backends that HAProxy did not add or delete at run time, with its
	// reply. Only a reload adds or deletes them.
	Rejected map[string]string
}

// Plan leads from what runs to what is wanted. Its parts are carried out in
// the order of its fields: what is new can serve before anything leads to it,
// and nothing leads to what leaves. Parts that need a reload first are left
// out; after the reload the next Diff has them.
type Plan struct {
	Reload       Reasons    // why a new configuration must be loaded; nil if none need be
	NewBackends  []*Backend // their servers are among Add
	Add          []ServerChange
	Publish      []string            // names of backends that requests may be led to from now on
	Certificates []CertificateChange // those that come or change
	Maps         []Map               // each replaces the whole map of its name
	Leave        []ServerChange
	// RemoveUnmanaged are the names of unmanaged servers, "backend/server", sorted.
	RemoveUnmanaged  []string
	OldBackends      []*Backend          // without servers
	DropCertificates []CertificateChange // those that go
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Reload) == 0 && !p.Runtime() }

// Runtime reports whether the runtime API has something to do.
func (p Plan) Runtime() bool {
	return len(p.NewBackends)+len(p.Add)+len(p.Publish)+len(p.Certificates)+len(p.Maps)+len(p.Leave)+len(p.RemoveUnmanaged)+len(p.OldBackends)+len(p.DropCertificates) > 0
}

// Op is what happens to a server.
type Op string

// The operations on servers.
const (
	AddServer    Op = "add"    // a server that HAProxy does not have yet; then it takes its State
	SetServer    Op = "set"    // it takes its State
	DeleteServer Op = "delete" // a server in Maint, as soon as its last connection is closed
)

// ServerChange is one operation on one server.
type ServerChange struct {
	Op      Op
	Backend *Backend // as it was loaded; its Servers are not looked at
	Server  Server   // with the State that it is to have
}

// String is "add shop_cart_80/10.1.2.3:8080 ready".
func (c ServerChange) String() string {
	return fmt.Sprintf("%s %s/%s %s", c.Op, c.Backend.Name, c.Server.Name(), c.Server.State)
}

// Diff returns the Plan from have to want. Backends that are no longer wanted
// are emptied. Where HAProxy does not give them up while it runs, they stay
// behind in the process until it is next reloaded for another reason.
func Diff(have Running, want State) Plan {
	p := Plan{Reload: ReloadReasons(have, want)}
	if have.Loaded.EndsTLS() && want.EndsTLS() {
		p.diffCertificates(have.Certificates, want.Certificates)
	}
	have.Loaded = p.diffBackends(have, want)
	maps := want.Maps()
	p.Maps = diffMaps(have, maps)
	waiting := waitForReload(have, p.Maps, maps, want.Frontends)
	for b, w := range mergeBackends(have.Loaded.Backends, want.Backends) {
		if b == nil {
			continue // the next reload brings it
		}
		var servers []Server
		if w != nil {
			servers = w.Servers
		}
		for _, name := range have.Unmanaged[b.Name] {
			p.RemoveUnmanaged = append(p.RemoveUnmanaged, b.Name+"/"+name)
		}
		leaving := len(p.Leave)
		p.diffServers(b, have.Servers[b.Name], servers)
		if waiting[b.Name] && !slices.ContainsFunc(servers, func(s Server) bool { return s.State == Ready }) {
			p.Leave = p.Leave[:leaving]
		}
		if w == nil && have.gone(b) && !waiting[b.Name] {
			p.OldBackends = append(p.OldBackends, b)
		}
	}
	return p
}

// diffServers merges the two sorted lists of one backend.
func (p *Plan) diffServers(b *Backend, have, want []Server) {
	if Same(have, want) {
		return
	}
	byAddr := func(a, b *Server) int { return a.Addr.Compare(b.Addr) }
	for h, w := range mergeSlices(have, want, byAddr) {
		switch {
		case w == nil:
			p.leave(b, *h)
		case h == nil:
			p.Add = append(p.Add, ServerChange{AddServer, b, *w})
		case h.as(*w):
		case w.State == Ready:
			p.Add = append(p.Add, ServerChange{SetServer, b, *w})
		default:
			p.Leave = append(p.Leave, ServerChange{SetServer, b, *w})
		}
	}
}

// as reports whether a server of one address serves as another one. The weight
// of one in maint does not count.
func (s Server) as(o Server) bool {
	return s.State == o.State && (s.State == Maint || s.Weight == o.Weight)
}

func (p *Plan) leave(b *Backend, s Server) {
	gone := Server{Addr: s.Addr, State: Maint}
	if s.State != Maint {
		p.Leave = append(p.Leave, ServerChange{SetServer, b, gone})
	}
	p.Leave = append(p.Leave, ServerChange{DeleteServer, b, gone})
}

// diffMaps returns the maps that differ, as they may be now. A route to a
// backend that only the next reload brings keeps its present entry till then:
// HAProxy would answer 404 instead.
func diffMaps(have Running, want []Map) []Map {
	var changed []Map
	for i, m := range want {
		if !have.Loaded.looksUp(m.Name) {
			continue
		}
		var present Map
		if i < len(have.Maps) {
			present = have.Maps[i]
		}
		if slices.Equal(present.Entries, m.Entries) {
			continue
		}
		if isRoutesMap(m.Name) {
			m.Entries = holdBack(m.Entries, present.Entries, have.Loaded)
		}
		if !slices.Equal(present.Entries, m.Entries) {
			changed = append(changed, m)
		}
	}
	return changed
}

// looksUp reports whether the configuration of s makes use of a map. HAProxy
// knows no others.
func (s State) looksUp(name string) bool {
	if name == TimeoutsMap {
		return slices.ContainsFunc(s.Classes, func(p Policy) bool { return p.Mode == HTTP }) ||
			s.Backends.ContainsFunc(func(b *Backend) bool { return b.Policy.Mode == HTTP })
	}
	return slices.ContainsFunc(s.Frontends, func(f Frontend) bool {
		switch name {
		case RoutesMap, FoldedRoutesMap:
			return f.routes() && f.TLS == Termination{}
		case TLSRoutesMap, FoldedTLSRoutesMap, HSTSMap:
			return f.routes() && f.TLS != Termination{}
		case PassthroughMap:
			return f.Inner.IsValid()
		case NodeMap:
			return f.Mode == HTTP
		}
		return false
	})
}

func holdBack(want, present []MapEntry, loaded State) []MapEntry {
	var entries []MapEntry
	for _, e := range want {
		if _, ok := loaded.Backend(e.backend()); !ok && e.Value != TerminateHere {
			i, found := slices.BinarySearchFunc(present, e, compareKeys)
			if !found {
				continue
			}
			e = present[i]
		}
		entries = append(entries, e)
	}
	return entries
}

// waitForReload returns the backends that requests reach only until the next
// reload leads these elsewhere. Till then somebody must answer them.
func waitForReload(have Running, changed, want []Map, frontends []Frontend) map[string]bool {
	waiting := map[string]bool{}
	current := map[string][]MapEntry{}
	for _, m := range slices.Concat(have.Maps, changed) {
		current[m.Name] = m.Entries
	}
	for _, m := range want {
		if !isRoutesMap(m.Name) || slices.Equal(current[m.Name], m.Entries) {
			continue
		}
		for _, e := range current[m.Name] {
			i, ok := slices.BinarySearchFunc(m.Entries, e, compareKeys)
			if ok && m.Entries[i].backend() != e.backend() {
				waiting[e.backend()] = true
			}
		}
	}
	for _, f := range have.Loaded.Frontends {
		if slices.ContainsFunc(frontends, func(w Frontend) bool { return f.goesOn(w) && f.Backend != w.Backend }) {
			waiting[f.Backend] = true
		}
	}
	return waiting
}

// goesOn reports whether what reaches f will be served by w: under another name
// it still is the same address to a client.
func (f Frontend) goesOn(w Frontend) bool {
	return w.Name == f.Name || slices.ContainsFunc(f.Binds, func(b netip.AddrPort) bool { return slices.Contains(w.Binds, b) })
}
