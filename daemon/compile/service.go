// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"reflect"
	"slices"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// service is one Service, compiled on its own. It is immutable, so that Results
// share it.
type service struct {
	object   *kubeapi.Service
	slices   []*kubeapi.EndpointSlice
	claims   *claims            // the same pointer while claims, age and configuration are the same
	nodes    []*kubeapi.Node    // nil if they are not known, or the Service does not need them
	unread   bool               // its EndpointSlices are not known
	servers  [][]haproxy.Server // by index into claims.ports
	problems []Problem          // of the slices
}

// claims are what a Service claims, whatever its endpoints are.
type claims struct {
	skipped  string // why the Service is skipped without a Problem; "" if it is not
	ports    []claim
	problems []Problem
}

// claim is what one Service port claims. Claims are in the order of the spec.
type claim struct {
	port       kubeapi.ServicePort
	backend    haproxy.Backend // with its default name, without servers
	name       string          // of the backend, by annotation; "" for the default
	nameFrom   annotation      // that sets name
	cookie     string          // its name, by annotation; "" for the default
	cookieFrom annotation      // that sets cookie
	listen     uint16          // port of a TCP frontend; zero for an HTTP port
	routing                    // of an HTTP port; from is also that of a TCP port
	mode       config.UpstreamMode
	secure     secure

	protocolFrom string // as in ExplainedPort
}

// compileService compiles one Service of snap. It reuses prev, which has the same name
// or is nil.
func compileService(in *input, svc *kubeapi.Service, snap *kubeapi.Snapshot, prev *service) *service {
	endpointSlices, nodes, unread := snap.Slices.Of(svc.Key), snap.Nodes, !snap.EndpointsKnown(svc.Namespace)
	if prev != nil && prev.object == svc && slices.Equal(prev.slices, endpointSlices) && prev.unread == unread &&
		(!prev.claims.needNodes() || sameNodes(prev.nodes, nodes)) {
		return prev
	}
	s := &service{object: svc, slices: endpointSlices, unread: unread}
	switch {
	case prev == nil:
		s.claims = parseClaims(in, svc, nil)
	case prev.object != svc:
		if s.claims = parseClaims(in, svc, nil); svc.Created.Equal(prev.object.Created) && reflect.DeepEqual(s.claims, prev.claims) {
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
		s.servers[i], problems = limitServers(in, svc.Key, c, upstreamServers(in, svc, c, endpointSlices, s.nodes))
		s.problems = append(s.problems, problems...)
		s.problems = append(s.problems, nodeProblems(in, svc, c, s.servers[i], endpointSlices, s.nodes)...)
	}
	s.limitTotal(in)
	for i := range s.servers {
		if prev != nil && i < len(prev.servers) && slices.Equal(s.servers[i], prev.servers[i]) {
			s.servers[i] = prev.servers[i]
		}
	}
	s.problems = append(s.problems, endpointProblems(svc.Key, endpointSlices)...)
	return s
}

// parseClaims parses the annotations of a Service. It appends every parsed value
// to parsed, unless that is nil.
func parseClaims(in *input, svc *kubeapi.Service, parsed *[]parsedAnnotation) *claims {
	all, lost, problems := parseAnnotations(svc)
	ports := svc.Ports
	if why := skipReason(in, svc, all); why != "" {
		if why == skipNamespace {
			return &claims{skipped: why}
		}
		if ports = listedPorts(in, svc); len(ports) == 0 {
			return &claims{skipped: why, problems: limitProblems(svc.Key, append(problems, unusedEntries(in, svc)...))}
		}
	}
	problems = append(problems, unusedEntries(in, svc)...)
	if text := unservable(svc); text != "" {
		if ignore, _ := parseBool(all[slot{keyIgnore, ""}].value); ignore {
			return &claims{skipped: skipIgnored}
		}
		if enabled, err := parseBool(all[slot{keyEnabled, ""}].value); err == nil && !enabled {
			return &claims{skipped: skipDisabled}
		}
		return &claims{problems: limitProblems(svc.Key, append(problems, Problem{Kind: Unsupported, Service: svc.Key, Text: text}))}
	}
	c := &claims{}
	ignored, why := 0, ""
	for _, p := range ports {
		r := &annotationReader{in: in, service: svc.Key, port: p, annotations: all, parsed: parsed}
		ignore, enabled := required(r, keyIgnore, parseBool), required(r, keyEnabled, parseBool)
		switch {
		case ignore.or(false):
			ignored, why = ignored+1, skipIgnored
			reportListed(r, ignore.annotation)
		case !enabled.or(true):
			ignored, why = ignored+1, cmp.Or(why, skipDisabled)
			reportListed(r, enabled.annotation)
		case !ignore.bad && !enabled.bad:
			if claim, ok := readPort(r, svc); ok && all.hasEach(lost, p) {
				c.ports = append(c.ports, claim)
			}
		}
		problems = append(problems, r.problems...)
	}
	if ignored == len(ports) {
		return &claims{skipped: why, problems: listedProblems(problems)}
	}
	c.problems = limitProblems(svc.Key, append(problems, withoutEffect(in, svc, all, c.ports, problems)...))
	return c
}

// Why a Service is skipped without a Problem.
const (
	skipNamespace    = "its namespace is not in kubernetes.namespaces"
	skipAPIServer    = "it is the cluster's API server, and has no annotation of podgate"
	skipLoadBalancer = "its type is LoadBalancer, and it has no annotation of podgate"
	skipUnannotated  = `kubernetes.expose is "annotated", and it has no annotation of podgate`
	skipIgnored      = "its ignore annotation is true"
	skipDisabled     = "its enabled annotation is false"
)

// skipReason returns why a Service is skipped; "" if it is not.
func skipReason(in *input, svc *kubeapi.Service, all annotations) string {
	k := in.Kubernetes
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

// unservable returns the text of the Problem of a Service that cannot be served at
// all; "" if it can.
func unservable(svc *kubeapi.Service) string {
	switch {
	case !haproxy.IsLabel(svc.Namespace) || !haproxy.IsLabel(svc.Name):
		return "not served: its name is not valid in Kubernetes"
	case svc.Type == "ExternalName":
		return "not served: a Service of type ExternalName has no endpoints"
	case len(svc.Ports) == 0:
		return "not served: it has no ports"
	}
	return ""
}

// readPort parses the annotations for one port. It reports false if the port is
// not served; the Problems are in r.
func readPort(r *annotationReader, svc *kubeapi.Service) (claim, bool) {
	if !isTCP(r.port.Protocol) {
		r.reportPort(Unsupported, annotation{}, "not served: its protocol is %s, not TCP", plain(r.port.Protocol))
		return claim{}, false
	}
	if r.port.Port == 0 {
		r.reportPort(Invalid, annotation{}, "not served: it has no port number")
		return claim{}, false
	}
	tcp, listed := readTCP(r)
	if tcp.bad {
		return claim{}, false
	}
	name := optional(r, keyBackendName, parseBackendName)
	c := claim{port: r.port, name: name.or(""), nameFrom: name.annotation}
	var reachable, secured, routed, verified bool
	if c.mode, reachable = readUpstream(r, svc); !reachable {
		return claim{}, false
	}
	c.secure, secured = readSecure(r, tcp.given)
	mode := haproxy.TCP
	if tcp.given {
		c.from = tcp.annotation
		c.listen, routed = uint16(tcp.value), true
		if !listed {
			c.listen, routed = allowedListen(r, tcp)
		}
	} else {
		if !c.secure.passthrough {
			mode = haproxy.HTTP
		}
		c.routing, routed = readRoutes(r, c.secure)
	}
	var cookie setting[string]
	c.backend, cookie, verified = readBackend(r, svc, mode, c.secure)
	c.cookie, c.cookieFrom = cookie.or(""), cookie.annotation
	c.protocolFrom = r.protocolFrom
	if o := &c.backend.Options; o.UsesTLS() && o.ServerName == "" {
		o.ServerName = serverName(svc.Key, c.routes)
	}
	limited := readSources(r, &c.backend)
	if !routed || !secured || !verified || !limited {
		return claim{}, false
	}
	return c, tcp.given || hasFrontend(r, c)
}

// allowedListen returns the port of a TCP frontend if podgate.toml allows it.
func allowedListen(r *annotationReader, tcp setting[int]) (uint16, bool) {
	listen := uint16(tcp.value)
	allowed := slices.ContainsFunc(r.in.TCP.AllowedPorts, func(p config.PortRange) bool { return p.Contains(listen) })
	owner, reserved := listedFor(r.in, listen)
	switch {
	case reserved:
		r.report(Conflict, tcp.annotation, "TCP port %d is set for %s in podgate.toml; the port is not served", listen, owner)
	case !allowed || len(r.in.TCP.Addresses) == 0:
		r.report(NotGranted, tcp.annotation, "port %d is not allowed by [tcp] in podgate.toml; the port is not served", listen)
	case !r.in.GrantsTCPPort(r.service.Namespace, listen):
		r.report(NotGranted, tcp.annotation, "port %d is not granted to namespace %s in podgate.toml; the port is not served", listen, r.service.Namespace)
	default:
		return listen, true
	}
	r.problems[len(r.problems)-1].TCPPort = listen
	return 0, false
}

// hasFrontend reports whether there is a frontend for the routes of a claim. If not,
// a Service without annotations still has no Problem.
func hasFrontend(r *annotationReader, c claim) bool {
	if c.secure.usesTLSFrontend() || len(r.in.HTTP.Binds) > 0 {
		return true
	}
	if c.from.written != "" {
		r.reportPort(Unsupported, c.from, "not served: http.bind in podgate.toml is empty")
	}
	return false
}

func isTCP(protocol string) bool { return protocol == "TCP" || protocol == "" }
