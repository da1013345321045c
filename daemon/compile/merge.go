// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// merged is the result of merging the claims of all Services. It does not depend on
// endpoints and is immutable.
type merged struct {
	claims    []*claims // of every Service, in the order of the Snapshot
	frontends []haproxy.Frontend
	routes    []haproxy.Route
	hosts     []haproxy.HeldHost
	backends  []placed
	placed    [][]int       // index into backends, by Service and claim; -1 for a claim without a backend
	ports     []ServicePort // by index into backends
	problems  []Problem     // of claims that did not get everything
	conflicts []conflict    // that caused these Problems
	secrets   []Secret
	needNodes bool // a claim uses node ports
}

// conflict is one thing that two Service ports claim.
type conflict struct {
	loser, winner ServicePort
	what          string // "route shop.example.com/cart"
	why           string // "is older"; "" between ports of one Service
}

// placed is a backend without its servers, and its claim.
type placed struct {
	backend *haproxy.Backend // the claim's, or a copy with another name
	claimID
}

// backendOf returns the index of a claim's backend, -1 if it has none.
func (m *merged) backendOf(c claimID) int { return m.placed[c.service][c.claim] }

// merge merges the claims of all Services, the oldest Service first. What another claim
// already has is a Problem; the claim gets it when the other Service is deleted.
func merge(in *input, services []*service, prev *merged) *merged {
	if prev != nil && slices.EqualFunc(services, prev.claims, func(s *service, c *claims) bool { return s.claims == c }) {
		return prev
	}
	m := merger{
		in:       in,
		services: services,
		routes:   make(map[haproxy.Route]claimID, len(services)),
		listens:  map[uint16]claimID{},
		names:    make(map[string]claimID, len(services)),
		cookies:  map[cookieUse]claimID{},
		shares:   map[string]share{},
		sizes:    map[int]int{},
		hosts:    map[haproxy.HostPattern]claimID{},
		tlsHosts: map[haproxy.HostPattern]tlsHost{},
	}
	m.out.routes = make([]haproxy.Route, 0, len(services))
	m.out.backends = make([]placed, 0, len(services))
	for _, i := range byAge(services) {
		for _, j := range m.claimOrder(i) {
			m.place(claimID{i, j})
		}
	}
	return m.finish()
}

// byAge returns the indexes of services, which are sorted by Key, from the oldest
// to the youngest. A Service without a creation time is younger than all others.
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

func compareAge(a, b *kubeapi.Service) int { return compareCreated(a.Created, b.Created) }

// claimID identifies a claim: the index of its Service, and its own in the Service.
type claimID struct{ service, claim int }

// merger is the state of one merge.
type merger struct {
	in       *input
	services []*service
	routes   map[haproxy.Route]claimID       // without Rewrite and Backend
	listens  map[uint16]claimID              // by port of a TCP frontend
	names    map[string]claimID              // by name of a backend
	cookies  map[cookieUse]claimID           // the first claim to get a cookie of a name for a host
	shares   map[string]share                // by namespace
	sizes    map[int]int                     // by Service: of its backends so far, see claim.size
	hosts    map[haproxy.HostPattern]claimID // the first claim to each host
	tlsHosts map[haproxy.HostPattern]tlsHost
	out      merged
}

// place adds the backend of a claim, and those of its routes and its TCP frontend that
// no other claim has. A port without a route or a frontend gets no backend.
func (m *merger) place(at claimID) {
	c := m.claim(at)
	byDefault := c.backend.Name
	if has, taken := m.names[byDefault]; taken {
		m.reportTaken(at, has, annotation{}, subject{text: "not served: backend name " + byDefault})
		return
	}
	if m.operatorHas(at) || !m.allow(at) {
		return
	}
	routes := m.freeRoutes(at)
	listens := c.listen != 0 && m.claimListen(at)
	if len(routes) == 0 && !listens {
		return
	}
	name := m.backendName(at)
	m.addSecret(at, routes)
	for _, r := range routes {
		r.Backend = name
		if r.Host == "" && m.in.HoldsHosts() && !m.in.GrantsPaths() {
			r.Namespace = m.namespace(at)
		}
		m.out.routes = append(m.out.routes, r)
	}
	if listens {
		m.out.frontends = append(m.out.frontends, tcpFrontend(m.in, c.listen, name, c.secure))
	}
	m.count(at, len(routes))
	backend := &c.backend
	cookie := m.cookieName(at, routes)
	if name != byDefault || cookie != "" {
		backend = new(*backend)
		backend.Name, backend.Cookie.Name = name, cmp.Or(cookie, backend.Cookie.Name)
	}
	m.out.backends = append(m.out.backends, placed{backend, at})
}

// operatorHas reports whether the backend of a claim would have the name of a backend in
// the operator's own files, and reports it.
func (m *merger) operatorHas(at claimID) bool {
	c := m.claim(at)
	s, taken := m.in.given.backend(c.backend.Name)
	if _, useless := m.in.given.section(c.name); !taken || c.name != "" && !useless {
		return false
	}
	m.report(Conflict, at, annotation{}, subject{text: "not served: backend name " + c.backend.Name}, "is in use by section %q of %s", s.Kind+" "+s.Name, s.File)
	return true
}

// freeRoutes claims the routes of a claim, and returns those that were free.
func (m *merger) freeRoutes(at claimID) []haproxy.Route {
	c, mine := m.claim(at), false
	routes := make([]haproxy.Route, 0, len(c.routes))
	for i, r := range c.routes {
		if i == 0 || r.Host != c.routes[i-1].Host { // they are in the order of their hosts
			mine = m.claimHost(at, r.Host)
		}
		from := c.from
		if r.Host == "" {
			from = c.anyHostFrom
		}
		if !mine || m.lacksHost(at, r) || !m.claimTLSHost(at, r) || !m.claimRoute(at, r, from) {
			continue
		}
		routes = append(routes, r)
		if c.secure.redirect.written == "" {
			continue
		}
		plain := haproxy.Route{Host: r.Host, Path: r.Path, FoldCase: r.FoldCase, Rewrite: r.Rewrite, Redirect: haproxy.ToHTTPS}
		if r.Passthrough {
			plain.Redirect = haproxy.ToHTTPSAlone
		}
		if m.claimRoute(at, plain, c.secure.redirect) {
			routes = append(routes, plain)
		}
	}
	return routes
}

func (m *merger) claimRoute(at claimID, r haproxy.Route, from annotation) bool {
	id := haproxy.Route{TLS: r.TLS, Host: r.Host, Path: r.Path, FoldCase: r.FoldCase}
	if has, taken := m.routes[id]; taken {
		m.reportTaken(at, has, from, subject{text: "route " + r.URL() + r.CaseNote(), host: string(r.Host)})
		return false
	}
	m.routes[id] = at
	return true
}

// claimListen claims the port of a TCP frontend.
func (m *merger) claimListen(at claimID) bool {
	c := m.claim(at)
	if has, taken := m.listens[c.listen]; taken {
		m.reportTaken(at, has, c.from, subject{text: "TCP port " + strconv.Itoa(int(c.listen)), port: c.listen})
		return false
	}
	m.listens[c.listen] = at
	return true
}

// backendName claims the name that an annotation sets, else the default name. No
// claim gets a name that is the default name of another Service's port.
func (m *merger) backendName(at claimID) string {
	name := m.claim(at).backend.Name
	if wanted := m.claim(at).name; wanted != "" && m.freeName(at, wanted) {
		name = wanted
	}
	m.names[name] = at
	return name
}

func (m *merger) freeName(at claimID, name string) bool {
	from, what := m.claim(at).nameFrom, subject{text: "backend name " + name}
	if s, ok := m.in.given.section(name); ok {
		m.report(Conflict, at, from, what, "is in use by section %q of %s", s.Kind+" "+s.Name, s.File)
		return false
	}
	if has, taken := m.names[name]; taken {
		m.reportTaken(at, has, from, what)
		return false
	}
	if has, ok := m.defaultOwner(name); ok && has != at {
		m.report(Conflict, at, from, what, "is the default name of Service %s", m.servicePort(has))
		m.addConflict(at, has, what, "has it by default")
		return false
	}
	if namespace, ok := defaultNamespace(name); ok && namespace != m.services[at.service].object.Namespace {
		m.report(Conflict, at, from, what, "is reserved for namespace %s (as all names of the form NAMESPACE_SERVICE_PORT are)", namespace)
		return false
	}
	return true
}

// defaultNamespace returns the namespace that can have a Service port with that
// default name.
func defaultNamespace(name string) (string, bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 || !haproxy.IsLabel(parts[0]) || !haproxy.IsLabel(parts[1]) {
		return "", false
	}
	port, err := strconv.ParseUint(parts[2], 10, 16)
	return parts[0], err == nil && parts[2] == strconv.FormatUint(port, 10)
}

// defaultOwner returns the claim whose backend has that default name.
func (m *merger) defaultOwner(name string) (claimID, bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 {
		return claimID{}, false
	}
	key := kubeapi.Key{Namespace: parts[0], Name: parts[1]}
	i, ok := slices.BinarySearchFunc(m.services, key, func(s *service, k kubeapi.Key) int { return s.object.Compare(k) })
	if !ok {
		return claimID{}, false
	}
	j := slices.IndexFunc(m.services[i].claims.ports, func(c claim) bool { return c.backend.Name == name })
	return claimID{i, j}, j >= 0
}

// subject is what a Problem or a conflict is about.
type subject struct {
	text string // "route shop.example.com/cart"
	host string // "" for none
	port uint16 // of a TCP frontend; zero for none
}

// reportTaken reports that another claim has what a claim wants, and the remedy.
func (m *merger) reportTaken(at, has claimID, from annotation, what subject) {
	why := ""
	switch {
	case has.service != at.service:
		why = m.why(at, has)
		m.report(Conflict, at, from, what, "is taken by Service %s, which %s", m.servicePort(has), why)
	case from.written != "" && from.suffix == "":
		own := plain(from.written + "." + portLabel(m.claim(at).port))
		m.report(Conflict, at, from, what, "is taken by Service %s (set it for each port, as in %s)", m.servicePort(has), own)
	default:
		m.report(Conflict, at, from, what, "is taken by Service %s", m.servicePort(has))
	}
	m.addConflict(at, has, what, why)
}

// why returns why another Service has what the Service of a claim wants.
func (m *merger) why(at, has claimID) string {
	if compareAge(m.services[has.service].object, m.services[at.service].object) < 0 {
		return "is older"
	}
	return "comes first by name"
}

func (m *merger) addConflict(loser, winner claimID, what subject, why string) {
	m.out.conflicts = append(m.out.conflicts, conflict{m.servicePort(loser), m.servicePort(winner), what.text, why})
}

// report adds a Problem of a claim. Its text is that of what, and the format.
func (m *merger) report(kind Kind, at claimID, from annotation, what subject, format string, args ...any) {
	m.out.problems = append(m.out.problems, Problem{
		Kind: kind, Service: m.services[at.service].object.Key, Port: portLabel(m.claim(at).port), Key: from.written,
		Text: what.text + " " + fmt.Sprintf(format, args...), Host: what.host, TCPPort: what.port,
	})
}

// finish adds the frontends and sorts the result.
func (m *merger) finish() *merged {
	m.exceptions()
	out := new(merged)
	*out = m.out // m would keep all Services in memory
	out.claims = make([]*claims, len(m.services))
	out.placed = make([][]int, len(m.services))
	for i, s := range m.services {
		out.claims[i], out.placed[i] = s.claims, slices.Repeat([]int{-1}, len(s.claims.ports))
		out.needNodes = out.needNodes || s.claims.needNodes()
	}
	out.hosts = m.heldHosts()
	out.problems = append(out.problems, m.missingServices()...)
	out.frontends = frontends(m.in, out.frontends, out.routes)
	slices.SortFunc(out.routes, haproxy.Route.Compare)
	slices.SortFunc(out.secrets, compareSecrets)
	slices.SortFunc(out.backends, func(a, b placed) int { return cmp.Compare(a.backend.Name, b.backend.Name) })
	out.ports = make([]ServicePort, len(out.backends))
	for i, b := range out.backends {
		out.placed[b.service][b.claim] = i
		out.ports[i] = m.servicePort(b.claimID)
	}
	return out
}

func (m *merger) servicePort(at claimID) ServicePort {
	p := m.claim(at).port
	return ServicePort{Service: m.services[at.service].object.Key, Name: p.Name, Number: p.Port}
}

func (m *merger) claim(at claimID) *claim { return &m.services[at.service].claims.ports[at.claim] }
