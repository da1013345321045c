// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"reflect"
	"slices"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// service is one Service, compiled by itself: what it asks for, and what it
// has. It is not changed once it was made, and so is shared between Results.
type service struct {
	object   *kubeapi.Service
	slices   []*kubeapi.EndpointSlice
	claims   *claims            // the same as long as what it asks for, its age and Config are
	nodes    []*kubeapi.Node    // nil where they are not known, and where nobody asks for them
	servers  [][]haproxy.Server // by index into claims.ports
	problems []Problem          // of the slices
}

// claims are what a Service asks for, whatever its endpoints are.
type claims struct {
	skipped  string // why the Service is not served at all and nobody is told; "" where it is
	ports    []claim
	problems []Problem
}

// claim is one Service port that asks to be served, in the order of the spec.
type claim struct {
	port       kubeapi.ServicePort
	backend    haproxy.Backend // under its natural name, without servers
	name       string          // the backend's name asked for, "" for none
	nameFrom   annotation      // which asked for it
	listen     uint16          // port of a TCP frontend; zero for an HTTP port
	routes     []haproxy.Route // of an HTTP port, without Backend
	routesFrom annotation      // which asked for listen or routes; zero where the Service's name did
	mode       config.UpstreamMode
	secure     secure
}

// compileService compiles one Service, with the work of prev, which is of the
// same name or nil.
func compileService(cfg *input, svc *kubeapi.Service, endpointSlices []*kubeapi.EndpointSlice, nodes []*kubeapi.Node, prev *service) *service {
	if prev != nil && prev.object == svc && slices.Equal(prev.slices, endpointSlices) &&
		(!prev.claims.needNodes() || sameNodes(prev.nodes, nodes)) {
		return prev
	}
	s := &service{object: svc, slices: endpointSlices}
	switch {
	case prev == nil:
		s.claims = readClaims(cfg, svc)
	case prev.object != svc:
		if s.claims = readClaims(cfg, svc); svc.Created.Equal(prev.object.Created) && reflect.DeepEqual(s.claims, prev.claims) {
			s.claims = prev.claims
		}
	default:
		s.claims = prev.claims
	}
	if len(s.claims.ports) == 0 {
		return s
	}
	if s.claims.needNodes() {
		s.nodes = nodes
	}
	s.servers = make([][]haproxy.Server, len(s.claims.ports))
	for i, c := range s.claims.ports {
		var problems []Problem
		s.servers[i], problems = limitServers(cfg, svc.Key, portLabel(c.port), upstreamServers(svc, c, endpointSlices, s.nodes))
		s.problems = append(s.problems, problems...)
		if prev != nil && i < len(prev.servers) && slices.Equal(s.servers[i], prev.servers[i]) {
			s.servers[i] = prev.servers[i]
		}
	}
	s.problems = append(s.problems, endpointProblems(svc.Key, endpointSlices)...)
	return s
}

// readClaims reads what a Service asks for.
func readClaims(cfg *input, svc *kubeapi.Service) *claims {
	return parseClaims(cfg, svc, nil)
}

// parseClaims is readClaims that keeps what it read in record, unless that is
// nil.
func parseClaims(cfg *input, svc *kubeapi.Service, parsed *[]parsedAnnotation) *claims {
	all, problems := parseAnnotations(svc)
	if why := skipped(cfg, svc, all); why != "" {
		if why == skipNamespace {
			problems = nil
		}
		return &claims{skipped: why, problems: limitProblems(svc.Key, sortProblems(problems))}
	}
	c := &claims{}
	if text := unservable(svc); text != "" {
		if ignore, _ := parseBool(all[slot{keyIgnore, ""}].value); ignore {
			return &claims{skipped: skipIgnored}
		}
		c.problems = limitProblems(svc.Key, sortProblems(append(problems, Problem{Kind: Unsupported, Service: svc.Key, Text: text})))
		return c
	}
	ignored := 0
	for _, p := range svc.Ports {
		r := &annotationReader{cfg: cfg, service: svc.Key, port: p, annotations: all, parsed: parsed}
		if ignore := required(r, keyIgnore, parseBool); ignore.or(false) {
			ignored++
		} else if !ignore.bad {
			if claim, ok := readPort(r, cfg, svc); ok {
				c.ports = append(c.ports, claim)
			}
		}
		problems = append(problems, r.problems...)
	}
	if ignored == len(svc.Ports) {
		return &claims{skipped: skipIgnored}
	}
	problems = append(problems, withoutEffect(svc, all, c.ports)...)
	c.problems = limitProblems(svc.Key, sortProblems(problems))
	return c
}

// Why a Service is not served without anybody being told.
const (
	skipNamespace    = "its namespace is not followed"
	skipAPIServer    = "it is the cluster's own API server, and has none of our annotations"
	skipLoadBalancer = "it is of type LoadBalancer, and has none of our annotations"
	skipUnannotated  = `expose is "annotated", and it has none of our annotations`
	skipIgnored      = "its annotation says to ignore it"
)

// skipped says why a Service was never asked to be served, "" where it was.
func skipped(cfg *input, svc *kubeapi.Service, all annotations) string {
	k := cfg.Kubernetes
	followed := slices.Contains(k.Namespaces, svc.Namespace) || slices.Equal(k.Namespaces, []string{"*"})
	switch {
	case !followed:
		return skipNamespace
	case len(all) > 0:
		return ""
	case svc.Key == kubeapi.Key{Namespace: "default", Name: "kubernetes"}:
		return skipAPIServer
	case svc.Type == "LoadBalancer":
		return skipLoadBalancer
	case k.Expose == config.ExposeAnnotated:
		return skipUnannotated
	}
	return ""
}

// unservable says why a Service that was asked for cannot be served, "" where
// it can.
func unservable(svc *kubeapi.Service) string {
	switch {
	case !haproxy.IsLabel(svc.Namespace) || !haproxy.IsLabel(svc.Name):
		return "not served, its name is none that Kubernetes gives"
	case svc.Type == "ExternalName":
		return "not served, an ExternalName has no endpoints"
	case len(svc.Ports) == 0:
		return "not served, it has no ports"
	}
	return ""
}

// readPort reads what one port asks for. It reports false for one that is not
// served; what is to be told of it is in r.
func readPort(r *annotationReader, cfg *input, svc *kubeapi.Service) (claim, bool) {
	if !isTCP(r.port.Protocol) {
		r.reportPort(Unsupported, annotation{}, "not served, its protocol is %s and not TCP", plain(r.port.Protocol))
		return claim{}, false
	}
	if r.port.Port == 0 {
		r.reportPort(Invalid, annotation{}, "not served, it has no number")
		return claim{}, false
	}
	tcp := required(r, keyTCP, parseNumber(1, 65535))
	if tcp.bad {
		return claim{}, false
	}
	name := optional(r, keyBackendName, parseBackendName)
	c := claim{port: r.port, name: name.or(""), nameFrom: name.annotation}
	var reachable bool
	if c.mode, reachable = readUpstream(r, cfg, svc); !reachable {
		return claim{}, false
	}
	sec, secured := readSecure(r, cfg, tcp.given)
	c.secure = sec
	if tcp.given {
		listen, ok := allowedListen(r, cfg, tcp)
		c.listen, c.routesFrom = listen, tcp.annotation
		backend, verified := readBackend(r, cfg, svc, haproxy.TCP, sec)
		c.backend = backend
		return c, readClient(r, &c.backend) && ok && secured && verified
	}
	routes, ok := readRoutes(r, cfg, sec)
	c.routes, c.routesFrom = routes.routes, routes.from
	mode := haproxy.HTTP
	if sec.passthrough {
		mode = haproxy.TCP
	}
	backend, verified := readBackend(r, cfg, svc, mode, sec)
	c.backend = backend
	open := readClient(r, &c.backend)
	if !open || !ok || !secured || !verified {
		return claim{}, false
	}
	return c, hasFrontend(r, cfg, sec, routes.from)
}

// allowedListen checks the port that a TCP frontend is asked for on.
func allowedListen(r *annotationReader, cfg *input, tcp setting[int]) (uint16, bool) {
	listen := uint16(tcp.value)
	allowed := slices.ContainsFunc(cfg.TCP.AllowedPorts, func(p config.PortRange) bool { return p.Contains(listen) })
	if !allowed || len(cfg.TCP.Addresses) == 0 {
		r.report(NotGranted, tcp.annotation, "port %d is not allowed by [tcp] in podgate.toml; the port is not served", listen)
		return 0, false
	}
	if !cfg.GrantsTCPPort(r.service.Namespace, listen) {
		r.report(NotGranted, tcp.annotation, "port %d is not granted to namespace %s in podgate.toml; the port is not served", listen, r.service.Namespace)
		return 0, false
	}
	return listen, true
}

// hasFrontend reports whether there is a frontend that carries the port's
// routes. Without the HTTP frontend, a port is told where it asks to be reached
// there.
func hasFrontend(r *annotationReader, cfg *input, sec secure, routed annotation) bool {
	if sec.edge() || len(cfg.HTTP.Binds) > 0 {
		return true
	}
	if routed.written != "" {
		r.reportPort(Unsupported, routed, "not served, podgate.toml has no [http] frontend")
	}
	return false
}

// withoutEffect tells of annotations for HTTP that hold for TCP ports alone.
func withoutEffect(svc *kubeapi.Service, all annotations, ports []claim) []Problem {
	var problems []Problem
	for _, a := range all {
		if !a.key.httpOnly() {
			continue
		}
		var http, tcp int
		var label string
		for _, c := range ports {
			if held, _ := all.forPort(a.key, c.port); held != a {
				continue
			}
			if c.listen == 0 {
				http++
			} else {
				tcp++
				label = portLabel(c.port)
			}
		}
		if tcp > 0 && http == 0 {
			p := Problem{Kind: Invalid, Service: svc.Key, Key: a.written, Text: "has no effect on a TCP port"}
			if a.suffix != "" {
				p.Port = label
			}
			problems = append(problems, p)
		}
	}
	return problems
}

func isTCP(protocol string) bool { return protocol == "TCP" || protocol == "" }
