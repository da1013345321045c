// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"podgate/haproxy"
	"podgate/kubeapi"
)

// Overview is what became of one Service.
type Overview struct {
	Object   *kubeapi.Service
	Skipped  string // as Result.Skipped says it
	Backends []int  // indexes into State.Backends and Ports, in the order of its ports
}

// Overviews are those of all Services of the Snapshot, sorted by Key.
func (r *Result) Overviews() []Overview {
	all := make([]Overview, r.services.Len())
	for i, s := range r.services.All() {
		all[i] = Overview{Object: s.object, Skipped: s.claims.skipped}
	}
	if r.merged == nil {
		return all
	}
	of := make([]int, len(r.merged.backends)) // so that each needs no slice of its own
	for i, b := range r.merged.backends {
		o := &all[b.service]
		if o.Backends == nil {
			of[i] = i
			o.Backends = of[i : i+1 : i+1]
			continue
		}
		o.Backends = append(o.Backends, i)
	}
	return all
}

// RoutesByBackend are the routes of State that lead to each backend.
func (r *Result) RoutesByBackend() map[string][]haproxy.Route {
	routes := make(map[string][]haproxy.Route, r.State.Backends.Len())
	for _, route := range r.State.Routes {
		routes[route.Backend] = append(routes[route.Backend], route)
	}
	return routes
}
