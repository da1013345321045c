// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
)

// Running is what a HAProxy process serves.
type Running struct {
	// Loaded is the State whose configuration the process loaded: its Settings,
	// Frontends and Backends. Diff ignores its Servers and Routes, which may have
	// changed since.
	Loaded State
	// Servers are the observed servers, by backend, each list sorted by Addr.
	Servers map[string][]Server
	// Maps are the observed maps, in the order of MapNames.
	Maps []Map
	// Certificates are the observed certificates, by Name. The Name of a certificate
	// outside podgate's folder is its whole path.
	Certificates []Certificate
	// Unmanaged are the names of servers in podgate's backends that podgate did not
	// add, by backend: a name that is not an address.
	Unmanaged map[string][]string

	// AtReload are the parts that HAProxy did not take at run time, with the reason. Diff
	// leaves them to a reload.
	AtReload map[Part]string

	// Rejected are the backends that HAProxy did not add or delete at run time, with its
	// reply. Only a reload adds or deletes them.
	Rejected map[string]string
	// Unwritten are backends in spares whose present servers podgate.cfg may lack. They
	// keep their spare until it has them.
	Unwritten map[string]bool

	// AddsBackends means that the process adds and deletes backends at run time. The
	// field below is used only then.
	AddsBackends bool
	// Unpublished are the backends of Loaded to which HAProxy sends no request.
	Unpublished map[string]bool
}

// Plan is the changes from a Running to a State. Its parts are applied in the order
// of its fields, so that a new server is ready before a route leads to it, and no
// route leads to a server that is removed. Changes that are possible only after a
// reload are not in the Plan; the Diff after the reload has them.
type Plan struct {
	Reload       Reasons    // why a new configuration must be loaded; nil if no reload is needed
	Vacated      []*Backend // that leave their spares; SparesMap is in Maps
	NewBackends  []*Backend // added, or in a spare; their servers are in Add
	Add          []ServerChange
	Publish      []string            // names of backends to which HAProxy may send requests from now on
	Certificates []CertificateChange // additions and changes
	Maps         []Map               // each replaces the whole map of its name; with the names of spares
	Leave        []ServerChange
	// RemoveUnmanaged are the names of unmanaged servers in HAProxy, "backend/server".
	RemoveUnmanaged  []string
	OldBackends      []*Backend          // to delete; they have no servers
	DropCertificates []CertificateChange // deletions
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Reload) == 0 && !p.Runtime() }

// Runtime reports whether the runtime API has something to do.
func (p Plan) Runtime() bool {
	return len(p.Vacated)+len(p.NewBackends)+len(p.Add)+len(p.Publish)+len(p.Certificates)+len(p.Maps)+len(p.Leave)+len(p.RemoveUnmanaged)+len(p.OldBackends)+len(p.DropCertificates) > 0
}

// Op is an operation on a server.
type Op string

// The operations on servers.
const (
	AddServer    Op = "add"    // add the server and set its State
	SetServer    Op = "set"    // set the State of an existing server
	DeleteServer Op = "delete" // delete a server in Maint once its last connection is closed
)

// ServerChange is one operation on one server.
type ServerChange struct {
	Op      Op
	Backend *Backend // as it was loaded; its Servers are ignored
	Server  Server   // with its new State
}

// String is "add shop_cart_80/10.1.2.3:8080 ready".
func (c ServerChange) String() string {
	return fmt.Sprintf("%s %s/%s %s", c.Op, c.Backend.Name, c.Server.Name(), c.Server.State)
}

// Diff returns the Plan from have to want. A backend that is not wanted loses its
// servers. If HAProxy cannot delete it at run time, it stays in the process, empty,
// until the next reload for another reason.
func Diff(have Running, want State) Plan {
	p := Plan{Reload: ReloadReasons(have, want)}
	if have.Loaded.EndsTLS() && want.EndsTLS() {
		p.diffCertificates(have, want.Certificates)
	}
	have.Loaded = p.diffBackends(have, want)
	maps := p.wantedMaps(have.Loaded, want)
	p.Maps = diffMaps(have, maps)
	waiting := waitForReload(have, p.Maps, maps, want.Frontends)
	for b, w := range mergeBackends(have.Loaded.Backends, want.Backends) {
		if b == nil {
			continue // the next reload adds it
		}
		var servers []Server
		if w != nil {
			servers = w.Servers
		}
		for _, name := range have.Unmanaged[b.Name] {
			p.RemoveUnmanaged = append(p.RemoveUnmanaged, b.ProxyName()+"/"+name)
		}
		leaving := len(p.Leave)
		p.diffServers(b, have, servers)
		if waiting[b.ProxyName()] && !slices.ContainsFunc(servers, func(s Server) bool { return s.State == Ready }) {
			p.Leave = p.Leave[:leaving]
		}
		if w == nil && have.canDelete(b) && !waiting[b.ProxyName()] {
			p.OldBackends = append(p.OldBackends, b)
		}
	}
	return p
}

// diffServers merges the two sorted lists of one backend.
func (p *Plan) diffServers(b *Backend, running Running, want []Server) {
	have := running.Servers[b.Name]
	if Same(have, want) {
		return
	}
	byAddr := func(a, b *Server) int { return a.Addr.Compare(b.Addr) }
	for h, w := range mergeSlices(have, want, byAddr) {
		switch {
		case w == nil:
			p.leave(b, *h)
		case h == nil && running.AtReload[Part{Server: b.Name + "/" + w.Name()}] != "":
		case h == nil:
			p.Add = append(p.Add, ServerChange{AddServer, b, *w})
		case h.servesLike(*w):
		case w.State == Ready:
			p.Add = append(p.Add, ServerChange{SetServer, b, *w})
		default:
			p.Leave = append(p.Leave, ServerChange{SetServer, b, *w})
		}
	}
}

// servesLike reports whether a server behaves like another one of the same address.
// The weight of a server in maint does not matter.
func (s Server) servesLike(o Server) bool {
	return s.State == o.State && (s.State == Maint || s.Weight == o.Weight)
}

func (p *Plan) leave(b *Backend, s Server) {
	gone := Server{Addr: s.Addr, State: Maint}
	if s.State != Maint {
		p.Leave = append(p.Leave, ServerChange{SetServer, b, gone})
	}
	p.Leave = append(p.Leave, ServerChange{DeleteServer, b, gone})
}

// diffMaps returns the maps to replace now. A route to a backend that only the next
// reload adds keeps its present entry until then, because HAProxy cannot serve the
// new one yet.
func diffMaps(have Running, want []Map) []Map {
	var changed []Map
	var rules ruleIndex
	if have.Loaded.Settings.Rules {
		rules = indexRules(have.Maps, want)
	}
	for i, m := range want {
		if !have.Loaded.looksUp(m.Name) || have.AtReload[Part{Map: m.Name}] != "" || isRulesMap(m.Name) {
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
			m.Entries = holdBack(m.Entries, present.Entries, have, rules)
		}
		if !slices.Equal(present.Entries, m.Entries) {
			changed = append(changed, m)
		}
	}
	if have.Loaded.Settings.Rules {
		return slices.Concat(diffRules(have, want, changed, rules), changed)
	}
	return changed
}

// looksUp reports whether the configuration of s uses a map. HAProxy does not load
// the others.
func (s State) looksUp(name string) bool {
	switch name {
	case SparesMap:
		return s.SpareBackends > 0 && !s.RuntimeBackends
	case CookiesMap:
		return s.hasClass(func(p Policy) bool { return p.Cookie != "" })
	case TimeoutsMap, TunnelTimeoutsMap:
		return s.hasClass(func(p Policy) bool { return p.Mode == HTTP })
	}
	return slices.ContainsFunc(s.Frontends, func(f Frontend) bool {
		if isConditionsMap(name) {
			name = RulesMap
		}
		switch name {
		case RulesMap, ListenersMap:
			return f.routes() && s.Settings.Rules
		case ExactRoutesMap:
			return f.routes() && f.TLS == Termination{} && s.Settings.Rules
		case ExactTLSRoutesMap:
			return f.routes() && f.TLS != Termination{} && s.Settings.Rules
		case RoutesMap, FoldedRoutesMap:
			return f.routes() && f.TLS == Termination{}
		case TLSRoutesMap, FoldedTLSRoutesMap, HSTSMap:
			return f.routes() && f.TLS != Termination{}
		case PassthroughMap:
			return f.TLSLoopback.IsValid()
		case NodeMap:
			return f.Mode == HTTP && f.Stats == nil
		}
		return false
	})
}

// hasClass reports whether has is true for one of the classes of s.
func (s State) hasClass(has func(Policy) bool) bool {
	return slices.ContainsFunc(s.Classes, has) || s.Backends.ContainsFunc(func(b *Backend) bool { return has(b.Policy) })
}

// holdBack returns want with the present entries, or without an entry, for routes to
// backends that are not loaded, and for rules that change headers which the loaded
// configuration has no lines for.
func holdBack(want, present []MapEntry, have Running, rules ruleIndex) []MapEntry {
	has := have.Loaded.hasProxy()
	missing := func(backend string) bool { return !has(backend) }
	var entries []MapEntry
	for _, e := range want {
		if slices.ContainsFunc(rules.backends(e), missing) || rules.lacks(have, e.Value) || !rules.hasHeaders(have.Loaded, e.Value) {
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

// waitForReload returns the backends, by their names in HAProxy, from which the next
// reload moves requests to another backend. They have to answer these requests until then.
func waitForReload(have Running, changed, want []Map, frontends []Frontend) map[string]bool {
	waiting := map[string]bool{}
	current := map[string][]MapEntry{}
	for _, m := range slices.Concat(have.Maps, changed) {
		current[m.Name] = m.Entries
	}
	var rules ruleIndex
	if have.Loaded.Settings.Rules {
		rules = indexRules(have.Maps, want)
	}
	for _, m := range want {
		if !isRoutesMap(m.Name) || slices.Equal(current[m.Name], m.Entries) {
			continue
		}
		for _, e := range current[m.Name] {
			i, ok := slices.BinarySearchFunc(m.Entries, e, compareKeys)
			if !ok || m.Entries[i].Value == e.Value {
				continue
			}
			next := rules.backends(m.Entries[i])
			for _, backend := range rules.backends(e) {
				if !slices.Contains(next, backend) {
					waiting[backend] = true
				}
			}
		}
	}
	for _, f := range have.Loaded.Frontends {
		if slices.ContainsFunc(frontends, func(w Frontend) bool { return f.sameListener(w) && f.Backend != w.Backend }) {
			waiting[f.Backend] = true
		}
	}
	return waiting
}

// sameListener reports whether f and w have a name or a listen address in common.
// Clients that connect to f then connect to w after the reload.
func (f Frontend) sameListener(w Frontend) bool {
	return w.Name == f.Name || slices.ContainsFunc(f.Binds, func(b netip.AddrPort) bool { return slices.Contains(w.Binds, b) })
}
