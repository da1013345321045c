// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// Explanation is the result of Compile for one Service. The types below have JSON tags
// where podgate explain prints them.
type Explanation struct {
	Object      *kubeapi.Service
	Skipped     string // as that of an Overview
	Ports       []ExplainedPort
	Annotations []ExplainedAnnotation
	Problems    []Problem           // of this Service
	Conflicts   []ExplainedConflict // that the Service won or lost
}

// ExplainedPort is one port of a Service, in the order of the spec.
type ExplainedPort struct {
	Name   string `json:"name,omitempty"`
	Number uint16 `json:"number"`
	Note   string `json:"note,omitempty"` // why the port has no endpoint; "" if it has one

	Backend      *haproxy.Backend `json:"-"` // nil if the port is not served
	ProtocolFrom string           `json:"-"` // " (target port 8443)": what set its Protocol; "" if nothing did

	Frontends []haproxy.Frontend  `json:"-"` // of a TCP port
	Routes    []haproxy.Route     `json:"-"`
	Endpoints []ExplainedEndpoint `json:"-"`
}

// ExplainedEndpoint is one endpoint of a port, and the server that it became.
type ExplainedEndpoint struct {
	Addr    string              `json:"address"`          // "10.2.9.103:8080"; "-" if no server can have it
	State   haproxy.ServerState `json:"wanted,omitempty"` // zero if it is no server
	Pod     string              `json:"pod,omitempty"`    // "" if the cluster does not name it
	Node    string              `json:"node,omitempty"`   // "" if the cluster does not name it
	Slice   string              `json:"endpoint_slice,omitempty"`
	Version string              `json:"resource_version,omitempty"` // of the slice
	Why     string              `json:"why,omitempty"`              // why it has that State, or none
}

// ExplainedAnnotation is one of podgate's annotations as podgate understands it.
type ExplainedAnnotation struct {
	Key     string   `json:"key"`               // as written
	Value   string   `json:"value"`             // as written
	Ports   []string `json:"ports"`             // labels of the ports that it was read for; not nil
	Meaning string   `json:"meaning,omitempty"` // "" if it is invalid, or has no effect
	Problem string   `json:"problem,omitempty"` // texts of its Problems; "" for none
}

// ExplainedConflict is one thing that two ports claim.
type ExplainedConflict struct {
	What   string `json:"what"`          // "route shop.example.com/cart"
	Winner string `json:"winner"`        // "shop/cart port web"
	Loser  string `json:"loser"`         // "shop/late port web"
	Why    string `json:"why,omitempty"` // why the winner has it: "is older"; "" between ports of one Service
}

// Explain returns the result of Compile for one Service. It reports false for a Service
// that is not in the Snapshot. It may be called concurrently.
func (r *Result) Explain(key kubeapi.Key) (Explanation, bool) {
	at, ok := r.search(key)
	if !ok {
		return Explanation{}, false
	}
	s := r.services.At(at)
	e := Explanation{Object: s.object, Skipped: s.claims.skipped}
	for _, p := range r.Problems {
		if p.Service == key {
			e.Problems = append(e.Problems, p)
		}
	}
	e.Annotations = r.explainAnnotations(s.object, e.Problems)
	if s.claims.skipped != "" {
		return e, true
	}
	for _, p := range s.object.Ports {
		e.Ports = append(e.Ports, r.explainPort(at, p))
	}
	for _, c := range r.merged.conflicts {
		if c.loser.Service == key || c.winner.Service == key {
			e.Conflicts = append(e.Conflicts, ExplainedConflict{What: c.what, Winner: c.winner.String(), Loser: c.loser.String(), Why: c.why})
		}
	}
	return e, true
}

func (r *Result) explainPort(at int, p kubeapi.ServicePort) ExplainedPort {
	s := r.services.At(at)
	e := ExplainedPort{Name: p.Name, Number: p.Port}
	var servers []haproxy.Server
	for i, placed := range r.merged.backends {
		if placed.service != at || s.claims.ports[placed.claim].port != p {
			continue
		}
		b := r.State.Backends.At(i)
		e.Backend, servers = b, b.Servers
		e.ProtocolFrom = s.claims.ports[placed.claim].protocolFrom
		for _, route := range r.State.Routes {
			if route.Backend == b.Name {
				e.Routes = append(e.Routes, route)
			}
		}
		for _, f := range r.State.Frontends {
			if f.Backend == b.Name {
				e.Frontends = append(e.Frontends, f)
			}
		}
	}
	notAllowed := func(netip.AddrPort) string { return "" }
	for _, c := range s.claims.ports {
		if c.port == p && c.mode == config.UpstreamPod {
			notAllowed = func(a netip.AddrPort) string { return r.input.whyNoEndpoint(c, a) }
		}
	}
	e.Endpoints = explainEndpoints(p, s.slices, slicesOfFamily(families(r.input, s.object)[0], p, s.slices), servers, notAllowed)
	switch {
	case s.unread:
		e.Note = "the EndpointSlices of its namespace cannot be read; HAProxy keeps the servers that it has"
	case len(s.slices) == 0:
		e.Note = "the Service has no EndpointSlice (does it have a selector?)"
	case len(e.Endpoints) == 0:
		e.Note = "the EndpointSlices of the Service are empty (does its selector match running pods?)"
	}
	return e
}

// explainEndpoints returns every endpoint with the server that endpointServers made of
// it, by address. used are the slices of the address family that is served.
func explainEndpoints(p kubeapi.ServicePort, endpointSlices, used []*kubeapi.EndpointSlice, servers []haproxy.Server, notAllowed func(netip.AddrPort) string) []ExplainedEndpoint {
	type explained struct {
		addr netip.AddrPort // the zero value if no server can have it
		ExplainedEndpoint
	}
	var all []explained
	for _, slice := range endpointSlices {
		port, ok := slicePort(slice, p.Name)
		unused := ""
		if slice.AddressType != "FQDN" && !slices.Contains(used, slice) {
			unused = "its pod is reached by an address of the other family (ipFamilies of the Service, upstream.ip_family)"
		}
		for _, e := range slice.Endpoints {
			x := explained{ExplainedEndpoint: ExplainedEndpoint{Addr: "-", Pod: e.Pod, Node: e.Node, Slice: slice.Name, Version: slice.ResourceVersion}}
			switch {
			case slice.AddressType == "FQDN":
				x.Why = "the addressType of its EndpointSlice is FQDN"
			case !usable(e.Addr):
				x.Why = "its address cannot be that of a server"
			case unused != "":
				x.addr = netip.AddrPortFrom(e.Addr.Unmap(), port)
				x.Addr, x.Why = x.addr.String(), unused
			default:
				x.addr = netip.AddrPortFrom(e.Addr.Unmap(), port)
				x.Addr = x.addr.String()
				x.State, x.Why = explainEndpoint(e, x.addr, servers)
				if why := notAllowed(x.addr); why != "" {
					x.State, x.Why = 0, "its address "+why
				}
			}
			if !ok && slice.AddressType != "FQDN" {
				x.State, x.Why = 0, fmt.Sprintf("its EndpointSlice has no TCP port named %q (it has %s)", p.Name, slicePorts(slice))
				if x.addr.IsValid() {
					x.Addr = x.addr.Addr().String()
				}
			}
			all = append(all, x)
		}
	}
	slices.SortStableFunc(all, func(a, b explained) int { return a.addr.Compare(b.addr) })
	endpoints := make([]ExplainedEndpoint, len(all))
	for i, x := range all {
		endpoints[i] = x.ExplainedEndpoint
	}
	return endpoints
}

// explainEndpoint returns the state of an endpoint among the servers, and why it
// has that state.
func explainEndpoint(e kubeapi.Endpoint, addr netip.AddrPort, servers []haproxy.Server) (haproxy.ServerState, string) {
	i, found := slices.BinarySearchFunc(servers, addr, func(s haproxy.Server, a netip.AddrPort) int { return s.Addr.Compare(a) })
	own, serves := serverState(e)
	switch {
	case found && serves && own == haproxy.Drain && servers[i].State == haproxy.Ready:
		return haproxy.Ready, "its pod is terminating; it is used because no endpoint is ready"
	case found && serves && own == haproxy.Drain:
		return servers[i].State, "its pod is terminating"
	case found && serves:
		return servers[i].State, ""
	case serves:
		return 0, "the port is not served"
	case e.Terminating:
		return 0, "its pod is terminating and no longer serving"
	}
	return 0, "its pod is not ready"
}

func slicePorts(s *kubeapi.EndpointSlice) string {
	var names []string
	for _, p := range s.Ports {
		names = append(names, fmt.Sprintf("%q", p.Name))
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// explainAnnotations parses the annotations of a Service again, and records the
// value of each.
func (r *Result) explainAnnotations(svc *kubeapi.Service, problems []Problem) []ExplainedAnnotation {
	var parsed []parsedAnnotation
	parseClaims(r.input, svc, &parsed)
	var all []ExplainedAnnotation
	for written, value := range svc.Annotations {
		if !strings.HasPrefix(written, domain) {
			continue
		}
		x := ExplainedAnnotation{Key: written, Value: value, Ports: []string{}}
		for _, p := range parsed {
			if p.annotation.written != written {
				continue
			}
			if !slices.Contains(x.Ports, p.port) {
				x.Ports = append(x.Ports, p.port)
			}
			if p.err == nil {
				x.Meaning = meaning(p.value)
			}
		}
		var texts []string
		for _, p := range problems {
			if p.Key == written && !slices.Contains(texts, p.Text) { // two ports may have the same
				texts = append(texts, p.Text)
			}
		}
		x.Problem = strings.Join(texts, "; ")
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b ExplainedAnnotation) int { return cmp.Compare(a.Key, b.Key) })
	return all
}

// meaning is a parsed value for people.
func meaning(value any) string {
	switch v := value.(type) {
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case time.Duration:
		return config.FormatDuration(v)
	case []string:
		return strings.Join(v, ", ")
	case []netip.Prefix, []haproxy.HostPattern:
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ", "), "[]")
	case []pathMatch:
		paths := make([]string, len(v))
		for i, p := range v {
			paths[i] = string(cmp.Or(p.path, "/"))
			if p.foldCase {
				paths[i] += " in any case"
			}
		}
		return strings.Join(paths, ", ")
	case haproxy.Rewrite:
		switch v {
		case "":
			return "the path is not changed"
		case "/":
			return "the matched path is removed"
		}
		return "the matched path is replaced with " + string(v)
	}
	return fmt.Sprint(value)
}
