// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// merged is what all Services together are given of what they ask for. It
// does not depend on endpoints, and is not changed once it was made.
type merged struct {
	claims    []*claims // of every Service, in the order of the Snapshot
	frontends []haproxy.Frontend
	routes    []haproxy.Route
	backends  []placed
	placed    [][]int       // index into backends, by Service and claim; -1 for a claim without one
	ports     []ServicePort // by index into backends
	problems  []Problem     // of claims that another Service or port has
	conflicts []conflict    // what stands behind those
	secrets   []Secret      // that certificates are to come from
	needNodes bool          // a claim is reached by node ports
}

// conflict is one thing that two claims ask for.
type conflict struct {
	loser, winner owner
	what          string // "route shop.example.com/cart"
	why           string // "is older"; "" between ports of one Service
}

// placed is a backend without its servers, and the claim that it serves.
type placed struct {
	backend *haproxy.Backend // the claim's own, unless it has another name
	service int              // index into the sorted Services
	claim   int              // index into its claims
}

// backendOf returns the index of a claim's backend, -1 where it has none.
func (m *merged) backendOf(c owner) int { return m.placed[c.service][c.claim] }

// merge gives the Services what they ask for, the oldest first: who comes
// later and asks for the same is told who has it, and has it when that one
// goes.
func merge(cfg *input, services []*service, prev *merged) *merged {
	if prev != nil && slices.EqualFunc(services, prev.claims, func(s *service, c *claims) bool { return s.claims == c }) {
		return prev
	}
	m := merger{
		services: services,
		routes:   make(map[haproxy.Route]owner, len(services)),
		listens:  map[uint16]owner{},
		names:    make(map[string]owner, len(services)),
		shares:   map[string]share{},
		tlsHosts: map[haproxy.HostPattern]tlsHost{},
	}
	m.out.routes = make([]haproxy.Route, 0, len(services))
	m.out.backends = make([]placed, 0, len(services))
	for _, i := range byAge(services) {
		for j := range services[i].claims.ports {
			m.place(cfg, owner{i, j})
		}
	}
	return m.finish(cfg)
}

// byAge returns the indexes of services, sorted by Key, from the oldest to the
// youngest. One that does not say when it was created counts as young.
func byAge(services []*service) []int {
	order := make([]int, 0, len(services))
	for i, s := range services {
		if len(s.claims.ports) > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return compareAge(services[a].object, services[b].object) })
	return order
}

func compareAge(a, b *kubeapi.Service) int {
	switch {
	case a.Created.IsZero() && b.Created.IsZero():
		return 0
	case a.Created.IsZero():
		return 1
	case b.Created.IsZero():
		return -1
	}
	return a.Created.Compare(b.Created)
}

// owner is the claim that has something.
type owner struct{ service, claim int }

// merger is the work of one merge.
type merger struct {
	services []*service
	routes   map[haproxy.Route]owner // without Rewrite and Backend
	listens  map[uint16]owner
	names    map[string]owner
	shares   map[string]share // by namespace
	tlsHosts map[haproxy.HostPattern]tlsHost
	out      merged
}

// place gives a claim what is still to be had. A port that gets no route and
// no frontend gets no backend either.
func (m *merger) place(cfg *input, at owner) {
	c := m.claim(at)
	natural := c.backend.Name
	if has, taken := m.names[natural]; taken {
		m.lose(at, has, annotation{}, "not served, the backend name "+natural)
		return
	}
	if !m.allow(cfg, at) {
		return
	}
	routes := m.freeRoutes(at)
	listens := c.listen != 0 && m.listen(at)
	if len(routes) == 0 && !listens {
		return
	}
	name := m.name(at)
	m.wantSecret(at, routes)
	for _, r := range routes {
		r.Backend = name
		m.out.routes = append(m.out.routes, r)
	}
	if listens {
		m.out.frontends = append(m.out.frontends, tcpFrontend(cfg, c.listen, name, c.secure))
	}
	m.count(at, len(routes))
	backend := &c.backend
	if name != natural {
		backend = new(*backend)
		backend.Name = name
	}
	m.out.backends = append(m.out.backends, placed{backend: backend, service: at.service, claim: at.claim})
}

// freeRoutes takes those routes of a claim that nobody has.
func (m *merger) freeRoutes(at owner) []haproxy.Route {
	c := m.claim(at)
	routes := make([]haproxy.Route, 0, len(c.routes))
	for _, r := range c.routes {
		if m.claimTLSHost(at, r) && m.claimRoute(at, r, c.routesFrom) {
			routes = append(routes, r)
			if c.secure.redirect.written != "" {
				plain := haproxy.Route{Host: r.Host, Path: r.Path, FoldCase: r.FoldCase, Rewrite: r.Rewrite, Redirect: haproxy.ToHTTPS}
				if r.Passthrough {
					plain.Redirect = haproxy.ToHTTPSAlone
				}
				if m.claimRoute(at, plain, c.secure.redirect) {
					routes = append(routes, plain)
				}
			}
		}
	}
	return routes
}

// claimRoute takes one route, if nobody has it.
func (m *merger) claimRoute(at owner, r haproxy.Route, from annotation) bool {
	id := haproxy.Route{TLS: r.TLS, Host: r.Host, Path: r.Path, FoldCase: r.FoldCase}
	if has, taken := m.routes[id]; taken {
		m.lose(at, has, from, "route "+describe(r))
		return false
	}
	m.routes[id] = at
	return true
}

// listen takes the port of a TCP frontend.
func (m *merger) listen(at owner) bool {
	c := m.claim(at)
	if has, taken := m.listens[c.listen]; taken {
		m.lose(at, has, c.routesFrom, "TCP port "+strconv.Itoa(int(c.listen)))
		return false
	}
	m.listens[c.listen] = at
	return true
}

// name takes the name that a claim asks for, else its natural one. A name that
// is natural to a port of another Service stays free for that one.
func (m *merger) name(at owner) string {
	name := m.claim(at).backend.Name
	if asked := m.claim(at).name; asked != "" && m.freeName(at, asked) {
		name = asked
	}
	m.names[name] = at
	return name
}

func (m *merger) freeName(at owner, name string) bool {
	c := m.claim(at)
	if has, taken := m.names[name]; taken {
		m.lose(at, has, c.nameFrom, "backend name "+name)
		return false
	}
	if has, natural := m.naturalOwner(name); natural && has != at {
		m.report(Conflict, at, c.nameFrom, fmt.Sprintf("backend name %s is that of Service %s", name, m.servicePort(has)))
		m.out.conflicts = append(m.out.conflicts, conflict{loser: at, winner: has, what: "backend name " + name, why: "has it by its own name"})
		return false
	}
	if theirs, natural := naturalNamespace(name); natural && theirs != m.services[at.service].object.Namespace {
		m.report(Conflict, at, c.nameFrom, fmt.Sprintf("backend name %s is kept for a Service of namespace %s", name, theirs))
		return false
	}
	return true
}

// naturalNamespace returns the namespace of which a Service could have that name
// by nature, now or later.
func naturalNamespace(name string) (string, bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 || !haproxy.IsLabel(parts[0]) || !haproxy.IsLabel(parts[1]) {
		return "", false
	}
	port, err := strconv.ParseUint(parts[2], 10, 16)
	return parts[0], err == nil && parts[2] == strconv.FormatUint(port, 10)
}

// naturalOwner returns the claim whose backend has that name by nature.
func (m *merger) naturalOwner(name string) (owner, bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 {
		return owner{}, false
	}
	key := kubeapi.Key{Namespace: parts[0], Name: parts[1]}
	i, ok := slices.BinarySearchFunc(m.services, key, func(s *service, k kubeapi.Key) int { return s.object.Compare(k) })
	if !ok {
		return owner{}, false
	}
	j := slices.IndexFunc(m.services[i].claims.ports, func(c claim) bool { return c.backend.Name == name })
	return owner{i, j}, j >= 0
}

// lose tells a claim that another has what it asks for, and what can be done.
func (m *merger) lose(at, has owner, from annotation, what string) {
	switch {
	case has.service != at.service:
		why := "comes first by name"
		if compareAge(m.services[has.service].object, m.services[at.service].object) < 0 {
			why = "is older"
		}
		m.report(Conflict, at, from, fmt.Sprintf("%s is taken by Service %s, which %s", what, m.servicePort(has), why))
		m.out.conflicts = append(m.out.conflicts, conflict{loser: at, winner: has, what: what, why: why})
		return
	case from.written != "" && from.suffix == "":
		own := from.written + "." + portLabel(m.claim(at).port)
		m.report(Conflict, at, from, fmt.Sprintf("%s is taken by Service %s (give each port its own, as in %s)", what, m.servicePort(has), plain(own)))
	default:
		m.report(Conflict, at, from, fmt.Sprintf("%s is taken by Service %s", what, m.servicePort(has)))
	}
	m.out.conflicts = append(m.out.conflicts, conflict{loser: at, winner: has, what: what})
}

func (m *merger) report(kind Kind, at owner, from annotation, text string) {
	m.out.problems = append(m.out.problems, Problem{
		Kind: kind, Service: m.services[at.service].object.Key, Port: portLabel(m.claim(at).port), Key: from.written, Text: text,
	})
}

// finish sorts what was given out.
func (m *merger) finish(cfg *input) *merged {
	out := new(merged)
	*out = m.out // which would hold all Services of now for as long as it is of use
	out.claims = make([]*claims, len(m.services))
	for i, s := range m.services {
		out.claims[i] = s.claims
		out.needNodes = out.needNodes || s.claims.needNodes()
	}
	if len(cfg.HTTP.Binds) > 0 {
		out.frontends = append(out.frontends, httpFrontend(cfg))
	}
	expectProxy(cfg.Config, out.frontends)
	out.frontends = append(out.frontends, healthFrontends(cfg.Config)...)
	if endsTLS(cfg) {
		out.frontends = append(out.frontends, httpsFrontend(cfg, out.routes))
	}
	slices.SortFunc(out.frontends, func(a, b haproxy.Frontend) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(out.routes, haproxy.Route.Compare)
	slices.SortFunc(out.secrets, compareSecrets)
	slices.SortFunc(out.backends, func(a, b placed) int { return cmp.Compare(a.backend.Name, b.backend.Name) })
	out.placed = m.unplaced()
	out.ports = make([]ServicePort, len(out.backends))
	for i, b := range out.backends {
		out.placed[b.service][b.claim] = i
		out.ports[i] = m.servicePort(owner{b.service, b.claim})
	}
	return out
}

// unplaced is merged.placed of no backend.
func (m *merger) unplaced() [][]int {
	total := 0
	for _, s := range m.services {
		total += len(s.claims.ports)
	}
	all := slices.Repeat([]int{-1}, total) // in one piece
	placed := make([][]int, len(m.services))
	for i, s := range m.services {
		placed[i], all = all[:len(s.claims.ports)], all[len(s.claims.ports):]
	}
	return placed
}

func (m *merger) servicePort(at owner) ServicePort {
	p := m.claim(at).port
	return ServicePort{Service: m.services[at.service].object.Key, Name: p.Name, Number: p.Port}
}

func (m *merger) claim(at owner) *claim { return &m.services[at.service].claims.ports[at.claim] }

// describe is a route's place in a sentence, without its backend.
func describe(r haproxy.Route) string {
	host, path := string(cmp.Or(r.Host, "*")), string(cmp.Or(r.Path, "/"))
	if r.TLS {
		host = "https://" + host
	}
	if r.FoldCase {
		path += " in any case"
	}
	return host + path
}

func httpFrontend(cfg *input) haproxy.Frontend {
	binds := slices.Clone(cfg.HTTP.Binds)
	slices.SortFunc(binds, netip.AddrPort.Compare)
	return haproxy.Frontend{Name: reservedName + "_http", Mode: haproxy.HTTP, Binds: binds, Relay: cfg.HTTP.Relay}
}

func tcpFrontend(cfg *input, port uint16, backend string, sec secure) haproxy.Frontend {
	binds := make([]netip.AddrPort, len(cfg.TCP.Addresses))
	for i, addr := range cfg.TCP.Addresses {
		binds[i] = netip.AddrPortFrom(addr, port)
	}
	slices.SortFunc(binds, netip.AddrPort.Compare)
	f := haproxy.Frontend{Name: fmt.Sprintf("%s_tcp_%d", reservedName, port), Mode: haproxy.TCP, Binds: binds, Backend: backend}
	if sec.sslTerm {
		f.TLS = termination(cfg)
		f.TLS.ALPN = "" // whatever is spoken within is not known
	}
	return f
}
