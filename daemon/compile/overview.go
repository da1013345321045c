// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"podgate/haproxy"
	"podgate/kubeapi"
)

// Overview is a summary of one Service.
type Overview struct {
	Object   *kubeapi.Service
	Skipped  string // why it is not served although it has no Problem; else ""
	Backends []int  // indexes into State.Backends and Ports, in the order of its ports
}

// Overviews returns those of all Services of the Snapshot, sorted by Key.
func (r *Result) Overviews() []Overview {
	all := make([]Overview, r.services.Len())
	for i, s := range r.services.All() {
		all[i] = Overview{Object: s.object, Skipped: s.claims.skipped}
	}
	if r.merged == nil {
		return all
	}
	for i, b := range r.merged.backends {
		all[b.service].Backends = append(all[b.service].Backends, i)
	}
	return all
}

// RoutesByBackend returns the routes of State by the name of their backend.
func (r *Result) RoutesByBackend() map[string][]haproxy.Route {
	routes := make(map[string][]haproxy.Route, r.State.Backends.Len())
	for _, route := range r.State.Routes {
		routes[route.Backend] = append(routes[route.Backend], route)
	}
	return routes
}
