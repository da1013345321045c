// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"slices"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// NeedsNodes reports whether a Service is reached by node ports.
func (r *Result) NeedsNodes() bool { return r.merged.needNodes }

func (c *claims) needNodes() bool {
	return slices.ContainsFunc(c.ports, func(p claim) bool { return p.mode == config.UpstreamNodePort })
}

// unknown reports whether the servers of a claim are not known.
func (s *service) unknown(claim int) bool {
	return s.unread || s.claims.ports[claim].mode == config.UpstreamNodePort && s.nodes == nil
}

// sameNodes reports whether two lists hold the same nodes, or are both nil.
func sameNodes(a, b []*kubeapi.Node) bool {
	return (a == nil) == (b == nil) && slices.Equal(a, b)
}

// readUpstream parses what the servers of a port are. It reports false for a port
// that cannot have these servers.
func readUpstream(r *annotationReader, svc *kubeapi.Service) (config.UpstreamMode, bool) {
	upstream := optional(r, keyUpstream, parseOneOf(config.UpstreamModes()...))
	mode := upstream.or(r.in.Upstream.Mode)
	why := whyUnreachable(mode, r.port, svc)
	if why != "" && upstream.valid() && mode != r.in.Upstream.Mode {
		r.report(Invalid, upstream.annotation, "%s; %s is used instead", why, r.in.Upstream.Mode)
		mode = r.in.Upstream.Mode
		why = whyUnreachable(mode, r.port, svc)
	}
	if why != "" {
		r.reportPort(Invalid, upstream.annotation, "not served: %s", why)
	}
	return mode, why == ""
}

// whyUnreachable returns why a port cannot be reached in a mode; "" if it can.
func whyUnreachable(mode config.UpstreamMode, p kubeapi.ServicePort, svc *kubeapi.Service) string {
	switch mode {
	case config.UpstreamNodePort:
		if p.NodePort == 0 {
			return "upstream is nodeport, but it has no node port (set the type of the Service to NodePort)"
		}
	case config.UpstreamClusterIP:
		if addr, err := netip.ParseAddr(svc.ClusterIP); err != nil || !usable(addr) {
			return "upstream is clusterip, but it has no cluster IP"
		}
	}
	return ""
}

// upstreamServers returns the servers of one Service port, by address.
func upstreamServers(in *input, svc *kubeapi.Service, c claim, endpointSlices []*kubeapi.EndpointSlice, nodes []*kubeapi.Node) []haproxy.Server {
	families := families(in, svc)
	endpointSlices = slicesOfFamily(families[0], c.port, endpointSlices)
	switch c.mode {
	case config.UpstreamNodePort:
		return nodeServers(svc, c.port, families, endpointSlices, nodes)
	case config.UpstreamClusterIP:
		if len(endpointServers(c.port, endpointSlices)) == 0 {
			return nil // HAProxy answers 503, instead of a connection error of the cluster
		}
		addr, _ := netip.ParseAddr(svc.ClusterIP)
		return []haproxy.Server{{Addr: netip.AddrPortFrom(addr.Unmap(), c.port.Port), State: haproxy.Ready}}
	}
	return endpointServers(c.port, endpointSlices)
}

// nodeServers returns the nodes at the node port of a Service port: those that are
// ready and not excluded from load balancers; if none is ready, all that are not
// excluded, because kube-proxy may still work where the kubelet does not report.
// With externalTrafficPolicy Local a node serves only its own pods: then its weight
// is how many it has, a node without pods is no server, and one whose pods all
// drain does too. Without endpoints there is no server. A node port is open on the
// addresses of the Service's families alone; a node is reached by the first of
// families that it has.
func nodeServers(svc *kubeapi.Service, p kubeapi.ServicePort, families []string, endpointSlices []*kubeapi.EndpointSlice, nodes []*kubeapi.Node) []haproxy.Server {
	ready, draining := endpointsByNode(p, endpointSlices)
	if len(ready)+len(draining) == 0 {
		return nil
	}
	candidates := slices.DeleteFunc(slices.Clone(nodes), func(n *kubeapi.Node) bool { return n.Excluded || !usable(nodeAddr(n, families)) })
	if slices.ContainsFunc(candidates, func(n *kubeapi.Node) bool { return n.Ready }) {
		candidates = slices.DeleteFunc(candidates, func(n *kubeapi.Node) bool { return !n.Ready })
	}
	pods := ready
	if len(ready) == 0 {
		pods = draining // as in endpointServers
	}
	var servers []haproxy.Server
	for _, n := range candidates {
		srv := haproxy.Server{Addr: netip.AddrPortFrom(nodeAddr(n, families), p.NodePort), State: haproxy.Ready}
		switch {
		case !svc.Local:
		case pods[n.Name] > 0:
			srv.Weight = uint16(min(pods[n.Name], maxWeight))
		case draining[n.Name] > 0:
			srv.State = haproxy.Drain
		default:
			continue
		}
		servers = append(servers, srv)
	}
	return normalize(dedupe(servers))
}

// nodeProblems reports a node port that no node can serve, although the Service has
// endpoints. It reports nothing while the nodes are unknown.
func nodeProblems(in *input, svc *kubeapi.Service, c claim, servers []haproxy.Server, endpointSlices []*kubeapi.EndpointSlice, nodes []*kubeapi.Node) []Problem {
	if c.mode != config.UpstreamNodePort || len(servers) > 0 || len(nodes) == 0 {
		return nil
	}
	families := families(in, svc)
	if ready, draining := endpointsByNode(c.port, slicesOfFamily(families[0], c.port, endpointSlices)); len(ready)+len(draining) == 0 {
		return nil
	}
	var excluded, unreachable int
	for _, n := range nodes {
		switch {
		case n.Excluded:
			excluded++
		case !usable(nodeAddr(n, families)):
			unreachable++
		}
	}
	text := fmt.Sprintf("no node can be a server, clients get 503 (nodes: %d; with the label %s: %d; without an internal address of the Service's IP families: %d",
		len(nodes), kubeapi.ExcludeLabel, excluded, unreachable)
	if svc.Local {
		text += fmt.Sprintf("; not ready, or without pods of the Service, as externalTrafficPolicy is Local: %d", len(nodes)-excluded-unreachable)
	}
	text += ")"
	return []Problem{{Kind: NoEndpoints, Service: svc.Key, Port: portLabel(c.port), Text: text}}
}

// nodeAddr returns the address of a node in the first of families that it has, else the
// zero Addr.
func nodeAddr(n *kubeapi.Node, families []string) netip.Addr {
	for _, family := range families {
		if a, ok := n.Addr(family); ok {
			return a
		}
	}
	return netip.Addr{}
}

// maxWeight is the maximum weight of a server (configuration.txt "weight").
const maxWeight = 256

// endpointsByNode counts the ready and the draining endpoints of a port, by node.
func endpointsByNode(p kubeapi.ServicePort, endpointSlices []*kubeapi.EndpointSlice) (ready, draining map[string]int) {
	ready, draining = map[string]int{}, map[string]int{}
	for _, s := range endpointSlices {
		if _, ok := slicePort(s, p.Name); !ok {
			continue
		}
		for _, e := range s.Endpoints {
			switch state, serves := serverState(e); {
			case !serves:
			case state == haproxy.Ready:
				ready[e.Node]++
			default:
				draining[e.Node]++
			}
		}
	}
	return ready, draining
}

// normalize divides weights by their greatest common divisor, so that they do not
// change when all nodes gain a pod. It sets zero for the weight 1, the default.
func normalize(servers []haproxy.Server) []haproxy.Server {
	divisor := uint16(0)
	for _, s := range servers {
		divisor = gcd(divisor, s.Weight)
	}
	for i := range servers {
		if servers[i].Weight /= max(1, divisor); servers[i].Weight == 1 {
			servers[i].Weight = 0
		}
	}
	return servers
}

func gcd(a, b uint16) uint16 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
