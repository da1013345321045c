// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Loss is the size of a removal.
type Loss struct {
	Servers    int `json:"servers"`     // servers that the removal deletes
	OfServers  int `json:"of_servers"`  // servers in service before
	Backends   int `json:"backends"`    // backends that the removal leaves without a server
	OfBackends int `json:"of_backends"` // backends with a server before
}

// String is "60 of 100 servers and 3 of 5 backends".
func (l Loss) String() string {
	return fmt.Sprintf("%d of %d servers and %d of %d backends", l.Servers, l.OfServers, l.Backends, l.OfBackends)
}

// Missing returns the part of from that is removed in to, and its size. For a
// backend with fewer servers than before this is the servers that are no longer
// there. For a backend that does not exist any more it is the whole backend, the
// routes and the TCP frontend that lead to it.
//
// Three changes are not a removal: a server that another one replaces, a server in
// drain, because Kubernetes has announced its end, and a backend all of whose servers
// are in another backend now.
func Missing(from, to State) (State, Loss) {
	fewer, loss := shrunkBackends(from, to)
	elsewhere := map[netip.AddrPort]bool{} // the servers of emptied backends: whether they are still in to
	for _, x := range fewer {
		if x.left == 0 {
			for _, s := range x.from.Servers {
				elsewhere[s.Addr] = false
			}
		}
	}
	markPresent(elsewhere, to)
	var lost []*Backend
	for _, x := range fewer {
		if x.left == 0 && !slices.ContainsFunc(x.from.Servers, func(s Server) bool { return !elsewhere[s.Addr] }) {
			continue
		}
		loss.add(x)
		b := *x.from
		if x.to != nil {
			b.Servers = slices.DeleteFunc(slices.Clone(b.Servers), func(s Server) bool { return s.State != Ready || x.to.has(s.Addr) })
		}
		lost = append(lost, &b)
	}
	if len(lost) == 0 {
		return State{}, loss
	}
	missing := State{Backends: ListOf(lost...)}
	missing.Routes = slices.DeleteFunc(slices.Clone(from.Routes), func(r Route) bool {
		return !slices.ContainsFunc(r.Backends(), func(name string) bool { return isRemoved(missing, to, name) })
	})
	hosts := map[HostPattern]bool{}
	for _, r := range missing.Routes {
		hosts[r.Host] = true
	}
	missing.HeldHosts = slices.DeleteFunc(slices.Clone(from.HeldHosts), func(h HeldHost) bool { return !hosts[h.Host] })
	missing.Frontends = slices.DeleteFunc(slices.Clone(from.Frontends), func(f Frontend) bool { return !isRemoved(missing, to, f.Backend) })
	return missing, loss
}

// LossAtMost is an upper bound of the Loss that Missing returns, and cheaper: it also
// counts a backend all of whose servers are in another backend now. It returns the
// zero Loss, without examining unchanged backends, if no backend has fewer servers.
func LossAtMost(from, to State) Loss {
	if !mayShrink(from, to) {
		return Loss{}
	}
	fewer, loss := shrunkBackends(from, to)
	for _, x := range fewer {
		loss.add(x)
	}
	return loss
}

// mayShrink returns false only if no backend has fewer servers. It examines only the
// backends that changed.
func mayShrink(from, to State) bool {
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

// shrunk is a backend that has fewer servers now than were ready before.
type shrunk struct {
	from, to    *Backend // to is nil if the backend does not exist any more
	ready, left int      // servers before and now
}

// shrunkBackends returns the shrunk backends, and a Loss with only the totals set.
func shrunkBackends(from, to State) (fewer []shrunk, none Loss) {
	for f, t := range mergeBackends(from.Backends, to.Backends) {
		if f == nil || len(f.Servers) == 0 {
			continue
		}
		none.OfServers += len(f.Servers)
		none.OfBackends++
		if f == t {
			continue
		}
		x := shrunk{from: f, to: t, ready: count(f.Servers, Ready)}
		if t != nil {
			x.left = len(t.Servers)
		}
		if x.left < x.ready {
			fewer = append(fewer, x)
		}
	}
	return fewer, none
}

func (l *Loss) add(x shrunk) {
	l.Servers += x.ready - x.left
	if x.left == 0 {
		l.Backends++
	}
}

// isRemoved reports whether a backend is missing as a whole.
func isRemoved(missing, to State, name string) bool {
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

// markPresent sets those addresses to true that are servers of a State.
func markPresent(addrs map[netip.AddrPort]bool, in State) {
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

// With returns the State with missing, which Missing returned, added. Where the two
// conflict, s wins: for a listen address, for the configuration of a backend, and for
// a route, unless its backend in s has no server.
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
		case len(s.Routes[i].Backends()) > 0 && !slices.ContainsFunc(s.Routes[i].Backends(), s.serves):
			routes[i] = r
		}
	}
	slices.SortFunc(routes, Route.Compare)
	held := slices.Clone(s.HeldHosts)
	for _, h := range missing.HeldHosts {
		if _, taken := s.held(h.Host); !taken && s.Settings.HoldHosts {
			held = append(held, h)
		}
	}
	slices.SortFunc(held, func(a, b HeldHost) int { return cmp.Compare(a.Host, b.Host) })
	frontends := slices.Clone(s.Frontends)
	for _, f := range missing.Frontends {
		if !slices.ContainsFunc(s.Frontends, f.sameListener) {
			frontends = append(frontends, f)
		}
	}
	slices.SortFunc(frontends, func(x, y Frontend) int { return cmp.Compare(x.Name, y.Name) })
	s.Frontends, s.Backends, s.Routes, s.HeldHosts = frontends, ListOf(backends...), routes, held
	return s
}

func (s State) serves(backend string) bool {
	b, ok := s.Backend(backend)
	return ok && len(b.Servers) > 0
}

// State returns the State that the process serves: the loaded configuration with the
// servers that are in service and the routes of its maps.
func (r Running) State() State {
	s := r.Loaded.leaveSpares()
	backends := make([]*Backend, s.Backends.Len())
	for i, loaded := range s.Backends.All() {
		b := *loaded
		b.Servers = slices.DeleteFunc(slices.Clone(r.Servers[b.Name]), func(srv Server) bool { return srv.State == Maint })
		backends[i] = &b
	}
	s.Backends = ListOf(backends...)
	names := r.Loaded.SpareNames()
	s.Routes = renameBackends(ParseRoutes(r.Maps), func(name string) string { return cmp.Or(names[name], name) })
	s.Routes = slices.DeleteFunc(s.Routes, func(route Route) bool {
		return slices.ContainsFunc(route.Backends(), func(name string) bool {
			_, ok := s.Backend(name)
			return !ok
		})
	})
	s.HeldHosts = parseHeldHosts(r.Maps)
	return s
}
