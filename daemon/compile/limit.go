// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"slices"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// maxProblems is how many Problems one Service may have: its annotations have
// room for thousands.
const maxProblems = 50

// limitProblems cuts sorted Problems of one Service.
func limitProblems(service kubeapi.Key, problems []Problem) []Problem {
	more := len(problems) - maxProblems
	if more <= 0 {
		return problems
	}
	return append(slices.Clip(problems[:maxProblems]), Problem{
		Kind: Invalid, Service: service, Text: fmt.Sprintf("and %d more problems", more),
	})
}

// limitServers takes out the servers that are in no network of podgate.toml, and
// those over max_endpoints, the ready ones last. Servers are by address, and so
// is what is returned.
func limitServers(cfg *input, service kubeapi.Key, port string, servers []haproxy.Server) ([]haproxy.Server, []Problem) {
	var problems []Problem
	report := func(format string, args ...any) {
		problems = append(problems, Problem{Kind: NotGranted, Service: service, Port: port, Text: fmt.Sprintf(format, args...)})
	}
	if len(cfg.Safety.Networks) > 0 {
		outside := func(s haproxy.Server) bool { return !inside(cfg.Safety.Networks, s.Addr.Addr()) }
		if i := slices.IndexFunc(servers, outside); i >= 0 {
			first := servers[i].Addr
			all := len(servers)
			servers = slices.DeleteFunc(servers, outside)
			report("%d endpoints are not served, safety.networks in podgate.toml has not their address (%s)", all-len(servers), first)
		}
	}
	if most := cfg.Safety.MaxEndpoints; len(servers) > most {
		report("%d of its %d endpoints are not served, safety.max_endpoints in podgate.toml is %d", len(servers)-most, len(servers), most)
		slices.SortStableFunc(servers, func(a, b haproxy.Server) int { return rank(a) - rank(b) })
		servers = slices.Clip(servers[:most])
		slices.SortFunc(servers, func(a, b haproxy.Server) int { return a.Addr.Compare(b.Addr) })
	}
	return servers, problems
}

func inside(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

func rank(s haproxy.Server) int {
	if s.State == haproxy.Ready {
		return 0
	}
	return 1
}

// share is what a namespace has been given so far.
type share struct{ backends, routes int }

// allow reports whether the namespace of a claim may have one more backend, and
// these routes; what it may not is told.
func (m *merger) allow(cfg *input, at owner) bool {
	s := m.shares[m.services[at.service].object.Namespace]
	routes := len(m.claim(at).routes)
	switch safety := cfg.Safety; {
	case s.backends+1 > safety.MaxBackends:
		m.report(NotGranted, at, annotation{}, fmt.Sprintf("not served, its namespace has %d ports served, and safety.max_backends in podgate.toml is no more", s.backends))
	case s.routes+routes > safety.MaxRoutes:
		m.report(NotGranted, at, annotation{}, fmt.Sprintf("not served, its namespace has %d routes, and %d more are over safety.max_routes in podgate.toml", s.routes, routes))
	default:
		return true
	}
	return false
}

// count adds what a claim was given to the share of its namespace.
func (m *merger) count(at owner, routes int) {
	namespace := m.services[at.service].object.Namespace
	s := m.shares[namespace]
	m.shares[namespace] = share{s.backends + 1, s.routes + routes}
}
