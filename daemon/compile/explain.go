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

// Explanation is why a Service is served as it is, or is not.
type Explanation struct {
	Object      *kubeapi.Service
	Skipped     string // as Result.Skipped says it
	Ports       []PortExplanation
	Annotations []Understood
	Problems    []Problem // of this Service
	Contests    []Contest // that it won or lost
}

// PortExplanation is one port of a Service, in the order of the spec.
type PortExplanation struct {
	Port      ServicePort
	Backend   *haproxy.Backend // nil where it is not served
	Frontends []haproxy.Frontend
	Routes    []haproxy.Route
	Endpoints []EndpointExplanation
	Note      string // why there is no endpoint; "" where there is one
}

// EndpointExplanation is one endpoint for one port, and what became of it.
type EndpointExplanation struct {
	Addr      netip.AddrPort // invalid where it has none that can be used
	Pod, Node string         // "" where the cluster does not say
	Slice     string         // name of its EndpointSlice
	Version   string         // resourceVersion of that
	State     haproxy.ServerState
	Why       string // why it is in that State, or no server where State is ""
}

// Understood is an annotation of ours as podgate reads it.
type Understood struct {
	Key     string // as written
	Value   string // as written
	Ports   []string
	Meaning string // "" where it is not understood, or has no effect
	Text    string // what is wrong with it; "" for nothing
}

// Contest is one thing that two ports ask for.
type Contest struct {
	What          string // "route shop.example.com/cart"
	Winner, Loser ServicePort
	Why           string // why the winner has it: "is older"; "" between ports of one Service
}

// Explain tells what Compile made of a Service, and of what. It reports false
// for a Service that was not in the Snapshot. It may be called concurrently.
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
	e.Annotations = r.understand(s.object, e.Problems)
	if s.claims.skipped != "" {
		return e, true
	}
	for _, p := range s.object.Ports {
		e.Ports = append(e.Ports, r.explainPort(at, p))
	}
	for _, c := range r.merged.conflicts {
		if c.loser.service == at || c.winner.service == at {
			e.Contests = append(e.Contests, Contest{What: c.what, Winner: r.servicePort(c.winner), Loser: r.servicePort(c.loser), Why: c.why})
		}
	}
	return e, true
}

func (r *Result) servicePort(o owner) ServicePort {
	s := r.services.At(o.service)
	p := s.claims.ports[o.claim].port
	return ServicePort{Service: s.object.Key, Name: p.Name, Number: p.Port}
}

func (r *Result) explainPort(at int, p kubeapi.ServicePort) PortExplanation {
	s := r.services.At(at)
	e := PortExplanation{Port: ServicePort{Service: s.object.Key, Name: p.Name, Number: p.Port}}
	var servers []haproxy.Server
	for i, placed := range r.merged.backends {
		if placed.service != at || s.claims.ports[placed.claim].port != p {
			continue
		}
		b := r.State.Backends.At(i)
		e.Backend, servers = b, b.Servers
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
	e.Endpoints, e.Note = explainEndpoints(p, s.slices, servers)
	return e
}

// explainEndpoints tells of every endpoint what endpointServers made of it.
func explainEndpoints(p kubeapi.ServicePort, endpointSlices []*kubeapi.EndpointSlice, servers []haproxy.Server) (all []EndpointExplanation, note string) {
	for _, slice := range endpointSlices {
		port, ok := slicePort(slice, p.Name)
		for _, e := range slice.Endpoints {
			x := EndpointExplanation{Pod: e.Pod, Node: e.Node, Slice: slice.Name, Version: slice.ResourceVersion}
			switch {
			case slice.AddressType == "FQDN":
				x.Why = "its EndpointSlice is of addressType FQDN"
			case !usable(e.Addr):
				x.Why = "no server can have its address"
			default:
				x.Addr = netip.AddrPortFrom(e.Addr.Unmap(), port)
				x.State, x.Why = explainEndpoint(e, x.Addr, servers)
			}
			if !ok && slice.AddressType != "FQDN" {
				x.State, x.Why = 0, fmt.Sprintf("its EndpointSlice has no TCP port named %q (it has %s)", p.Name, slicePorts(slice))
			}
			all = append(all, x)
		}
	}
	slices.SortStableFunc(all, func(a, b EndpointExplanation) int { return a.Addr.Compare(b.Addr) })
	switch {
	case len(endpointSlices) == 0:
		return all, "there is no EndpointSlice of this Service (has it a selector?)"
	case len(all) == 0:
		return all, "its EndpointSlices are empty (does its selector match pods that run?)"
	}
	return all, ""
}

// explainEndpoint tells which state an endpoint has among the servers, and why.
func explainEndpoint(e kubeapi.Endpoint, addr netip.AddrPort, servers []haproxy.Server) (haproxy.ServerState, string) {
	i, found := slices.BinarySearchFunc(servers, addr, func(s haproxy.Server, a netip.AddrPort) int { return s.Addr.Compare(a) })
	own, serves := serverState(e)
	switch {
	case found && serves && own == haproxy.Drain && servers[i].State == haproxy.Ready:
		return haproxy.Ready, "its pod is terminating; used because nothing else is ready"
	case found && serves && own == haproxy.Drain:
		return servers[i].State, "its pod is terminating"
	case found && serves:
		return servers[i].State, ""
	case serves:
		return 0, "the port is not served"
	case e.Terminating:
		return 0, "its pod is terminating and serves no more"
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

// understand reads the annotations of a Service once more, and keeps what each
// came to.
func (r *Result) understand(svc *kubeapi.Service, problems []Problem) []Understood {
	var readings []parsedAnnotation
	recordClaims(r.input, svc, &readings)
	var all []Understood
	for written, value := range svc.Annotations {
		if !strings.HasPrefix(written, domain) {
			continue
		}
		u := Understood{Key: written, Value: value}
		for _, read := range readings {
			if read.annotation.written != written {
				continue
			}
			if !slices.Contains(u.Ports, read.port) {
				u.Ports = append(u.Ports, read.port)
			}
			if read.err == nil {
				u.Meaning = meaning(read.value)
			}
		}
		var texts []string
		for _, p := range problems {
			if p.Key == written && !slices.Contains(texts, p.Text) { // two ports may say the same
				texts = append(texts, p.Text)
			}
		}
		u.Text = strings.Join(texts, "; ")
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b Understood) int { return cmp.Compare(a.Key, b.Key) })
	return all
}

// meaning is a value as it was understood.
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
	case []pathMatch:
		paths := make([]string, len(v))
		for i, p := range v {
			paths[i] = cmp.Or(p.path, "/")
			if p.foldCase {
				paths[i] += " in any case"
			}
		}
		return strings.Join(paths, ", ")
	case haproxy.Rewrite:
		switch v {
		case "":
			return "the path is left as it is"
		case "/":
			return "the matched path is taken away"
		}
		return "the matched path becomes " + string(v)
	}
	return fmt.Sprint(value)
}
