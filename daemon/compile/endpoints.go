// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"net/netip"
	"slices"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// endpointServers returns the servers behind one Service port, by address: the union
// over its slices, whose ports are matched by name, since pods of one Service
// may answer on different numbers. Where nothing is ready, what drains is used
// as ready, as kube-proxy does (KEP-1669): a pod that still answers beats none.
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
		return nil // and not a list of none: equal States are deeply equal
	}
	servers = dedupe(servers)
	if !anyReady {
		for i := range servers {
			servers[i].State = haproxy.Ready
		}
	}
	return servers
}

// serverState reads the conditions of an endpoint (Kubernetes API,
// EndpointConditions). It reports false for one that is not to be a server.
func serverState(e kubeapi.Endpoint) (haproxy.ServerState, bool) {
	switch {
	case e.Ready:
		return haproxy.Ready, true
	case e.Serving && e.Terminating:
		return haproxy.Drain, true
	}
	return 0, false
}

// usable reports whether an address can be a server's: the API server refuses
// the others, a file may hold them.
func usable(addr netip.Addr) bool {
	return addr.IsValid() && addr.Zone() == "" && !addr.IsUnspecified() && !addr.IsMulticast()
}

// slicePort returns the number that the pods of a slice answer on for the
// Service port of that name.
func slicePort(s *kubeapi.EndpointSlice, name string) (uint16, bool) {
	for _, p := range s.Ports {
		if p.Name == name && isTCP(p.Protocol) && p.Port != 0 {
			return p.Port, true
		}
	}
	return 0, false
}

// dedupe sorts servers by address and keeps one of each; ready wins.
func dedupe(servers []haproxy.Server) []haproxy.Server {
	slices.SortFunc(servers, func(a, b haproxy.Server) int {
		if c := a.Addr.Compare(b.Addr); c != 0 {
			return c
		}
		switch {
		case a.State == b.State:
			return 0
		case a.State == haproxy.Ready:
			return -1
		}
		return 1
	})
	return slices.CompactFunc(servers, func(a, b haproxy.Server) bool { return a.Addr == b.Addr })
}

// endpointProblems tells what of a Service's slices cannot be served, once
// for the Service.
func endpointProblems(service kubeapi.Key, endpointSlices []*kubeapi.EndpointSlice) []Problem {
	named, odd := false, false
	for _, s := range endpointSlices {
		if s.AddressType == "FQDN" {
			named = true
			continue
		}
		odd = odd || slices.ContainsFunc(s.Endpoints, func(e kubeapi.Endpoint) bool { return !usable(e.Addr) })
	}
	var problems []Problem
	if named {
		problems = append(problems, Problem{Kind: Unsupported, Service: service,
			Text: "its EndpointSlices of addressType FQDN are not served, only IPv4 and IPv6 are"})
	}
	if odd {
		problems = append(problems, Problem{Kind: Unsupported, Service: service,
			Text: "endpoints whose address no server can have are not served"})
	}
	return problems
}
