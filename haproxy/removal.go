// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Loss is how much of a State another one lacks.
type Loss struct {
	Servers    int `json:"servers"`     // that would be gone
	OfServers  int `json:"of_servers"`  // that are in service
	Backends   int `json:"backends"`    // that would be left without a server
	OfBackends int `json:"of_backends"` // that have one
}

// String is "60 of 100 servers and 3 of 5 backends".
func (l Loss) String() string {
	return fmt.Sprintf("%d of %d servers and %d of %d backends", l.Servers, l.OfServers, l.Backends, l.OfBackends)
}

// Missing returns what to lacks of from, as far as it is a loss: of a backend
// that has fewer servers than before, those that are no longer there; of one
// that is gone, all of it with the routes and the TCP frontend that lead to it.
// No loss is a server that others stand in for, one that drained, since
// Kubernetes has announced its end, and a backend all of whose servers serve
// under another name.
func Missing(from, to State) (State, Loss) {
	fewer, loss := lessers(from, to)
	elsewhere := map[netip.AddrPort]bool{} // of those that leave a backend empty
	for _, x := range fewer {
		if x.left == 0 {
			for _, s := range x.from.Servers {
				elsewhere[s.Addr] = false
			}
		}
	}
	find(elsewhere, to)
	var lost []*Backend
	for _, x := range fewer {
		if x.left == 0 {
			if !slices.ContainsFunc(x.from.Servers, func(s Server) bool { return !elsewhere[s.Addr] }) {
				continue
			}
		}
		loss.add(x)
		gone := *x.from
		if x.to != nil {
			gone.Servers = slices.DeleteFunc(slices.Clone(gone.Servers), func(s Server) bool { return s.State != Ready || x.to.has(s.Addr) })
		}
		lost = append(lost, &gone)
	}
	if len(lost) == 0 {
		return State{}, loss
	}
	missing := State{Backends: ListOf(lost...)}
	missing.Routes = slices.DeleteFunc(slices.Clone(from.Routes), func(r Route) bool { return !gone(missing, to, r.Backend) })
	missing.Frontends = slices.DeleteFunc(slices.Clone(from.Frontends), func(f Frontend) bool { return !gone(missing, to, f.Backend) })
	return missing, loss
}

// LossAtMost is the Loss that Missing tells, or more: a backend all of whose servers
// serve under another name counts too. Where fewer servers are nowhere, it does not
// look at what did not change, and returns the zero Loss.
func LossAtMost(from, to State) Loss {
	if !mayLack(from, to) {
		return Loss{}
	}
	fewer, loss := lessers(from, to)
	for _, x := range fewer {
		loss.add(x)
	}
	return loss
}

// mayLack reports false where no backend has fewer servers, as far as that shows
// in what changed.
func mayLack(from, to State) bool {
	if from.Backends.Len() != to.Backends.Len() {
		return true
	}
	for i := range to.Backends.Changed(from.Backends) {
		f, t := from.Backends.At(i), to.Backends.At(i)
		if f.Name != t.Name || len(t.Servers) < count(f.Servers, Ready) {
			return true
		}
	}
	return false
}

// lesser is a backend that has fewer servers than were ready before.
type lesser struct {
	from, to    *Backend // to is nil where it is gone
	ready, left int      // servers before and now
}

// lessers returns them with the Loss of nothing.
func lessers(from, to State) (fewer []lesser, none Loss) {
	for f, t := range mergeBackends(from.Backends, to.Backends) {
		if f == nil || len(f.Servers) == 0 {
			continue
		}
		none.OfServers += len(f.Servers)
		none.OfBackends++
		if f == t {
			continue
		}
		x := lesser{from: f, to: t, ready: count(f.Servers, Ready)}
		if t != nil {
			x.left = len(t.Servers)
		}
		if x.left < x.ready {
			fewer = append(fewer, x)
		}
	}
	return fewer, none
}

func (l *Loss) add(x lesser) {
	l.Servers += x.ready - x.left
	if x.left == 0 {
		l.Backends++
	}
}

// gone reports whether a backend is missing as a whole.
func gone(missing, to State, name string) bool {
	_, lost := missing.Backend(name)
	_, there := to.Backend(name)
	return lost && !there
}

func count(servers []Server, state ServerState) (n int) {
	for _, s := range servers {
		if s.State == state {
			n++
		}
	}
	return n
}

// find notes which of the addresses a State has.
func find(addrs map[netip.AddrPort]bool, in State) {
	if len(addrs) == 0 {
		return
	}
	for _, b := range in.Backends.All() {
		for _, srv := range b.Servers {
			if _, sought := addrs[srv.Addr]; sought {
				addrs[srv.Addr] = true
			}
		}
	}
}

func (b *Backend) has(addr netip.AddrPort) bool {
	_, ok := slices.BinarySearchFunc(b.Servers, addr, func(s Server, a netip.AddrPort) int { return s.Addr.Compare(a) })
	return ok
}

// With returns the State with what Missing found beside it. Where both want the
// same, what s has counts: a listening address, how a backend is used, and a
// route, unless the backend that it would lead to has no server.
func (s State) With(missing State) State {
	if missing.Backends.Len() == 0 {
		return s
	}
	backends := make([]*Backend, 0, s.Backends.Len()+missing.Backends.Len())
	for b, m := range mergeBackends(s.Backends, missing.Backends) {
		switch {
		case b == nil:
			backends = append(backends, m)
		case m == nil:
			backends = append(backends, b)
		default:
			both := *b
			both.Servers = slices.Clone(b.Servers)
			for _, srv := range m.Servers {
				if !b.has(srv.Addr) {
					both.Servers = append(both.Servers, srv)
				}
			}
			slices.SortFunc(both.Servers, func(x, y Server) int { return x.Addr.Compare(y.Addr) })
			backends = append(backends, &both)
		}
	}
	routes := slices.Clone(s.Routes)
	for _, r := range missing.Routes {
		i, taken := slices.BinarySearchFunc(s.Routes, r, Route.Compare)
		switch {
		case !taken:
			routes = append(routes, r)
		case !s.serves(s.Routes[i].Backend):
			routes[i] = r
		}
	}
	slices.SortFunc(routes, Route.Compare)
	frontends := slices.Clone(s.Frontends)
	for _, f := range missing.Frontends {
		if !slices.ContainsFunc(s.Frontends, f.goesOn) {
			frontends = append(frontends, f)
		}
	}
	slices.SortFunc(frontends, func(x, y Frontend) int { return cmp.Compare(x.Name, y.Name) })
	s.Frontends, s.Backends, s.Routes = frontends, ListOf(backends...), routes
	return s
}

func (s State) serves(backend string) bool {
	b, ok := s.Backend(backend)
	return ok && len(b.Servers) > 0
}

// State is what r serves, as a State: the loaded configuration with the servers
// that are in service and the routes of its maps.
func (r Running) State() State {
	s := r.Loaded
	backends := make([]*Backend, s.Backends.Len())
	for i, loaded := range s.Backends.All() {
		b := *loaded
		b.Servers = slices.DeleteFunc(slices.Clone(r.Servers[b.Name]), func(srv Server) bool { return srv.State == Maint })
		backends[i] = &b
	}
	s.Backends = ListOf(backends...)
	s.Routes = slices.DeleteFunc(RoutesOf(r.Maps), func(route Route) bool {
		_, ok := s.Backend(route.Backend)
		return !ok
	})
	return s
}
