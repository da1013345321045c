// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"net/netip"
	"slices"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// endpointServers returns the servers of one Service port, by address: the union
// over its slices. Ports are matched by name because pods of one Service may use
// different numbers. If no endpoint is ready, the draining ones are used as ready,
// as kube-proxy does (KEP-1669).
func endpointServers(p kubeapi.ServicePort, endpointSlices []*kubeapi.EndpointSlice) []haproxy.Server {
	var servers []haproxy.Server
	anyReady := false
	for _, s := range endpointSlices {
		port, ok := slicePort(s, p.Name)
		if !ok || s.AddressType == "FQDN" {
			continue
		}
		servers = slices.Grow(servers, len(s.Endpoints))
		for _, e := range s.Endpoints {
			state, serves := serverState(e)
			if !serves || !usable(e.Addr) {
				continue
			}
			anyReady = anyReady || state == haproxy.Ready
			servers = append(servers, haproxy.Server{Addr: netip.AddrPortFrom(e.Addr.Unmap(), port), State: state})
		}
	}
	if len(servers) == 0 {
		return nil // not an empty list, so that equal States are deeply equal
	}
	servers = dedupe(servers)
	if !anyReady {
		for i := range servers {
			servers[i].State = haproxy.Ready
		}
	}
	return servers
}

// serverState is the state of an endpoint's server by its conditions (Kubernetes
// API, EndpointConditions). It reports false for an endpoint that must not have a
// server.
func serverState(e kubeapi.Endpoint) (haproxy.ServerState, bool) {
	switch {
	case e.Ready:
		return haproxy.Ready, true
	case e.Serving && e.Terminating:
		return haproxy.Drain, true
	}
	return 0, false
}

// usable reports whether a server can have the address. The API server rejects
// the others.
func usable(addr netip.Addr) bool {
	return addr.IsValid() && addr.Zone() == "" && !addr.IsUnspecified() && !addr.IsMulticast()
}

// slicePort returns the port number of a slice's pods for the Service port with
// that name.
func slicePort(s *kubeapi.EndpointSlice, name string) (uint16, bool) {
	for _, p := range s.Ports {
		if p.Name == name && isTCP(p.Protocol) && p.Port != 0 {
			return p.Port, true
		}
	}
	return 0, false
}

// dedupe sorts servers by address and removes duplicates. It prefers a ready one.
func dedupe(servers []haproxy.Server) []haproxy.Server {
	slices.SortFunc(servers, func(a, b haproxy.Server) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.State, b.State)) // Ready is the first State
	})
	return slices.CompactFunc(servers, func(a, b haproxy.Server) bool { return a.Addr == b.Addr })
}

// endpointProblems returns a Problem for each sort of endpoint that cannot be
// served.
func endpointProblems(service kubeapi.Key, endpointSlices []*kubeapi.EndpointSlice) []Problem {
	fqdn, unusable := false, false
	for _, s := range endpointSlices {
		if s.AddressType == "FQDN" {
			fqdn = true
			continue
		}
		unusable = unusable || slices.ContainsFunc(s.Endpoints, func(e kubeapi.Endpoint) bool { return !usable(e.Addr) })
	}
	var problems []Problem
	if fqdn {
		problems = append(problems, Problem{Kind: Unsupported, Service: service,
			Text: "its EndpointSlices of addressType FQDN are not served (IPv4 and IPv6 are supported)"})
	}
	if unusable {
		problems = append(problems, Problem{Kind: Unsupported, Service: service,
			Text: "endpoints with an unspecified, multicast or scoped address are not served"})
	}
	return problems
}
