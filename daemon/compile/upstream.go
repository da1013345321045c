// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"net/netip"
	"slices"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// NeedsNodes reports whether there is a Service that is reached by node ports.
func (r *Result) NeedsNodes() bool { return r.merged.needNodes }

func (c *claims) needNodes() bool {
	return slices.ContainsFunc(c.ports, func(p claim) bool { return p.mode == config.UpstreamNodePort })
}

// unknown reports whether the servers of a claim cannot be told now.
func (s *service) unknown(claim int) bool {
	return s.claims.ports[claim].mode == config.UpstreamNodePort && s.nodes == nil
}

// sameNodes reports whether two lists are one, or none.
func sameNodes(a, b []*kubeapi.Node) bool {
	return (a == nil) == (b == nil) && slices.Equal(a, b)
}

// readUpstream reads what is reached of a port. It reports false for a port that
// cannot be reached in the way that podgate.toml says.
func readUpstream(r *annotationReader, cfg *input, svc *kubeapi.Service) (config.UpstreamMode, bool) {
	asked := optional(r, keyUpstream, parseOneOf(config.UpstreamModes()...))
	mode := asked.or(cfg.Upstream.Mode)
	lack := lacks(mode, r.port, svc)
	if lack != "" && asked.given && !asked.bad && mode != cfg.Upstream.Mode {
		r.report(Invalid, asked.annotation, "%s; %s is used instead", lack, cfg.Upstream.Mode)
		mode = cfg.Upstream.Mode
		lack = lacks(mode, r.port, svc)
	}
	if lack != "" {
		r.reportPort(Invalid, asked.annotation, "not served, %s", lack)
	}
	return mode, lack == ""
}

// lacks says why a port cannot be reached in a mode, "" where it can.
func lacks(mode config.UpstreamMode, p kubeapi.ServicePort, svc *kubeapi.Service) string {
	switch mode {
	case config.UpstreamNodePort:
		if p.NodePort == 0 {
			return `upstream is nodeport and it has no node port (make the Service one of type NodePort)`
		}
	case config.UpstreamClusterIP:
		if addr, err := netip.ParseAddr(svc.ClusterIP); err != nil || !usable(addr) {
			return `upstream is clusterip and it has no cluster IP`
		}
	}
	return ""
}

// upstreamServers returns the servers behind one Service port, by address.
func upstreamServers(svc *kubeapi.Service, c claim, endpointSlices []*kubeapi.EndpointSlice, nodes []*kubeapi.Node) []haproxy.Server {
	switch c.mode {
	case config.UpstreamNodePort:
		return nodeServers(svc, c.port, endpointSlices, nodes)
	case config.UpstreamClusterIP:
		if len(endpointServers(c.port, endpointSlices)) == 0 {
			return nil // 503 at once, instead of what the cluster makes of it
		}
		addr, _ := netip.ParseAddr(svc.ClusterIP)
		return []haproxy.Server{{Addr: netip.AddrPortFrom(addr.Unmap(), c.port.Port), State: haproxy.Ready}}
	}
	return endpointServers(c.port, endpointSlices)
}

// nodeServers returns the nodes at the node port of a Service port: those that
// are ready and not kept out of load balancers; where none is ready, all of these,
// since a kubelet that is not heard of says little of kube-proxy. With
// externalTrafficPolicy Local a node leads to its own pods alone: then it is one
// that has some, weighted by how many, and drains when the last of them does.
// Without any endpoint there is no server, and 503 at once.
func nodeServers(svc *kubeapi.Service, p kubeapi.ServicePort, endpointSlices []*kubeapi.EndpointSlice, nodes []*kubeapi.Node) []haproxy.Server {
	ready, draining := endpointsByNode(p, endpointSlices)
	if len(ready)+len(draining) == 0 {
		return nil
	}
	candidates := slices.DeleteFunc(slices.Clone(nodes), func(n *kubeapi.Node) bool { return n.Excluded || !usable(n.Addr) })
	if slices.ContainsFunc(candidates, func(n *kubeapi.Node) bool { return n.Ready }) {
		candidates = slices.DeleteFunc(candidates, func(n *kubeapi.Node) bool { return !n.Ready })
	}
	pods := ready
	if len(ready) == 0 {
		pods = draining // a pod that still answers beats none
	}
	var servers []haproxy.Server
	for _, n := range candidates {
		srv := haproxy.Server{Addr: netip.AddrPortFrom(n.Addr, p.NodePort), State: haproxy.Ready}
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

// maxWeight is HAProxy's (configuration.txt "weight").
const maxWeight = 256

// endpointsByNode counts the ready and the draining endpoints of a port by node.
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

// normalize divides weights by what they have in common, so that nothing changes
// where all nodes gain a pod, and leaves out the weight of 1.
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
