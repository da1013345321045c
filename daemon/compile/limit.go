// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// maxProblems is the maximum number of Problems of one Service. Its annotations
// have room for thousands.
const maxProblems = 50

// limitProblems sorts the Problems of one Service and cuts them at maxProblems.
func limitProblems(service kubeapi.Key, problems []Problem) []Problem {
	problems = sortProblems(problems)
	more := len(problems) - maxProblems
	if more <= 0 {
		return problems
	}
	return append(slices.Clip(problems[:maxProblems]), Problem{
		Kind: Invalid, Service: service, Text: fmt.Sprintf("and %d more problems", more),
	})
}

// limitServers removes the servers outside safety.networks, and those over
// safety.max_endpoints, of which ready ones are the last. It expects and returns
// servers sorted by address.
func limitServers(in *input, service kubeapi.Key, port string, servers []haproxy.Server) ([]haproxy.Server, []Problem) {
	var problems []Problem
	report := func(format string, args ...any) {
		problems = append(problems, Problem{Kind: NotGranted, Service: service, Port: port, Text: fmt.Sprintf(format, args...)})
	}
	if networks := in.Safety.Networks; len(networks) > 0 {
		outside := func(s haproxy.Server) bool {
			return !slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(s.Addr.Addr()) })
		}
		if i := slices.IndexFunc(servers, outside); i >= 0 {
			first, all := servers[i].Addr, len(servers)
			servers = slices.DeleteFunc(servers, outside)
			report("%d endpoints are not served: safety.networks in podgate.toml does not contain their addresses (%s)", all-len(servers), first)
		}
	}
	if most := in.Safety.MaxEndpoints; len(servers) > most {
		report("%d of its %d endpoints are not served: safety.max_endpoints in podgate.toml is %d", len(servers)-most, len(servers), most)
		slices.SortStableFunc(servers, func(a, b haproxy.Server) int { return cmp.Compare(a.State, b.State) }) // ready ones first
		servers = slices.Clip(servers[:most])
		slices.SortFunc(servers, func(a, b haproxy.Server) int { return a.Addr.Compare(b.Addr) })
	}
	return servers, problems
}

// share is the number of backends and routes of one namespace.
type share struct{ backends, routes int }

// allow reports whether safety.max_backends and safety.max_routes allow the
// backend and the routes of a claim. If not, it reports a Problem.
func (m *merger) allow(at claimID) bool {
	s := m.shares[m.services[at.service].object.Namespace]
	routes := len(m.claim(at).routes)
	what := subject{text: "not served:"}
	switch safety := m.in.Safety; {
	case s.backends+1 > safety.MaxBackends:
		m.report(NotGranted, at, annotation{}, what, "%d ports of its namespace are served, the maximum of safety.max_backends in podgate.toml", s.backends)
	case s.routes+routes > safety.MaxRoutes:
		m.report(NotGranted, at, annotation{}, what, "its namespace has %d routes, and %d more exceed safety.max_routes in podgate.toml", s.routes, routes)
	default:
		return true
	}
	return false
}

// count adds a backend and routes to the share of a claim's namespace.
func (m *merger) count(at claimID, routes int) {
	namespace := m.services[at.service].object.Namespace
	s := m.shares[namespace]
	m.shares[namespace] = share{s.backends + 1, s.routes + routes}
}
