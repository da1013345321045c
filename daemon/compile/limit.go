// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
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

// limitServers removes the servers that safety.networks does not allow, and those over
// safety.max_endpoints, of which ready ones are the last. It expects and returns
// servers sorted by address.
func limitServers(in *input, service kubeapi.Key, c claim, servers []haproxy.Server) ([]haproxy.Server, []Problem) {
	var problems []Problem
	report := func(format string, args ...any) {
		problems = append(problems, Problem{Kind: NotGranted, Service: service, Port: portLabel(c.port), Text: fmt.Sprintf(format, args...)})
	}
	servers, refusals := removeUnallowed(in, c, servers)
	for _, text := range refusals {
		report("%s", text)
	}
	if most := in.Safety.MaxEndpoints; len(servers) > most {
		report("%d of its %d endpoints are not served: safety.max_endpoints in podgate.toml is %d", len(servers)-most, len(servers), most)
		servers = cutServers(servers, most)
	}
	return servers, problems
}

// share is the number of backends, routes and bytes of one namespace.
type share struct{ backends, routes, size int }

// allow reports whether [safety] allows the backend and the routes of a claim. If not, it
// reports a Problem.
func (m *merger) allow(at claimID) bool {
	s := m.shares[m.services[at.service].object.Namespace]
	routes, size := len(m.claim(at).routes), m.claim(at).size()
	what := subject{text: "not served:"}
	switch safety := m.in.Safety; {
	case s.backends+1 > safety.MaxBackends:
		m.report(NotGranted, at, annotation{}, what, "%d ports of its namespace are served, the maximum of safety.max_backends in podgate.toml", s.backends)
	case s.routes+routes > safety.MaxRoutes:
		m.report(NotGranted, at, annotation{}, what, "its namespace has %d routes, and %d more exceed safety.max_routes in podgate.toml", s.routes, routes)
	case m.sizes[at.service]+size > int(safety.MaxServiceSize):
		m.report(NotGranted, at, annotation{}, what, "with it, the Service needs %d KB of HAProxy's configuration, and safety.max_service_size in podgate.toml is %s", (m.sizes[at.service]+size)>>10, safety.MaxServiceSize)
	case s.size+size > int(safety.MaxSize):
		m.report(NotGranted, at, annotation{}, what, "with it, its namespace needs %d KB of HAProxy's configuration, and safety.max_size in podgate.toml is %s", (s.size+size)>>10, safety.MaxSize)
	default:
		return true
	}
	return false
}

// count adds a backend and routes to the share of a claim's namespace.
func (m *merger) count(at claimID, routes int) {
	namespace := m.services[at.service].object.Namespace
	s, size := m.shares[namespace], m.claim(at).size()
	m.shares[namespace] = share{s.backends + 1, s.routes + routes, s.size + size}
	m.sizes[at.service] += size
}
