// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"podgate/haproxy"
	"podgate/kubeapi"
)

const (
	// sampled is how many servers of each node are tried.
	sampled = 3
	// reachTimeout is how long one may take to answer. Within a network it is
	// milliseconds; a second lost packet is sent again after three.
	reachTimeout = 2 * time.Second
)

// How an attempt to connect may end.
type reach string

const (
	answers reach = "answers"
	refuses reach = "refuses the connection" // so it is reached
	silent  reach = "does not answer"
	noRoute reach = "no route"
	somehow reach = "cannot be reached"
)

// judge says what an error of connecting means (tcp(7), ip(7), icmp(7)).
func judge(err error) reach {
	switch {
	case err == nil:
		return answers
	case errors.Is(err, syscall.ECONNREFUSED):
		return refuses
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return noRoute
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return silent
	}
	return somehow
}

// pods tries some servers of the Services that are to be served, of each node,
// as HAProxy would connect to them.
func (x *preflight) pods(ctx context.Context, snapshot *kubeapi.Snapshot) {
	state := x.compile(snapshot).State
	byNode := sample(state, snapshot)
	if len(byNode) == 0 {
		x.add("pods", "no Service has a server to try", nil, "")
		return
	}
	for _, node := range slices.Sorted(maps.Keys(byNode)) {
		x.node(ctx, node, byNode[node], snapshot)
	}
}

// sample picks servers of each node.
func sample(state haproxy.State, snapshot *kubeapi.Snapshot) map[string][]netip.AddrPort {
	nodeOf := map[netip.Addr]string{}
	for _, endpointSlices := range snapshot.Slices.All() {
		for _, s := range endpointSlices {
			for _, e := range s.Endpoints {
				nodeOf[e.Addr] = e.Node
			}
		}
	}
	for _, n := range snapshot.Nodes {
		nodeOf[n.Addr] = n.Name
	}
	byNode := map[string][]netip.AddrPort{}
	for _, b := range state.Backends.All() {
		for _, s := range b.Servers {
			name := nodeOf[s.Addr.Addr()]
			if len(byNode[name]) < sampled && !slices.Contains(byNode[name], s.Addr) {
				byNode[name] = append(byNode[name], s.Addr)
			}
		}
	}
	return byNode
}

// node tries some servers of one node, all at once.
func (x *preflight) node(ctx context.Context, name string, servers []netip.AddrPort, snapshot *kubeapi.Snapshot) {
	ends := make([]reach, len(servers))
	errs := make([]error, len(servers))
	var trying sync.WaitGroup
	for i, addr := range servers {
		trying.Go(func() {
			conn, err := (&net.Dialer{Timeout: reachTimeout}).DialContext(ctx, "tcp", addr.String())
			if err == nil {
				err = conn.Close()
			}
			ends[i], errs[i] = judge(err), err
		})
	}
	trying.Wait()
	where := "servers"
	if name != "" {
		where = "node " + name
	}
	for i, addr := range servers {
		what := fmt.Sprintf("%s: %s", where, addr)
		switch ends[i] {
		case answers:
			x.add("pods", what+" answers", nil, "")
		case refuses:
			x.findings = append(x.findings, Finding{Check: "pods", OK: true, What: what + " refuses the connection, so it is reached", Help: "no process listens on this port: does the pod work?"})
		case silent:
			x.add("pods", what, fmt.Errorf("no answer within %s: a firewall drops the packets, or there is no route back to this machine", reachTimeout), x.routeHelp(name, addr.Addr(), snapshot))
		case noRoute:
			x.add("pods", what, fmt.Errorf("no route from here: %w", errs[i]), x.routeHelp(name, addr.Addr(), snapshot))
		default:
			x.add("pods", what, errs[i], "")
		}
	}
}

// routeHelp is the route that would lead to a pod, as far as the cluster tells:
// its node's pods are behind its node in networks without an overlay. In others
// only node ports are reached from outside.
func (x *preflight) routeHelp(node string, addr netip.Addr, snapshot *kubeapi.Snapshot) string {
	const otherwise = `or upstream = "nodeport" where the pods' network is an overlay`
	i := slices.IndexFunc(snapshot.Nodes, func(n *kubeapi.Node) bool { return n.Name == node })
	if i < 0 || !snapshot.Nodes[i].Addr.IsValid() {
		return "a route to " + addr.String() + " by way of its node, " + otherwise
	}
	n := snapshot.Nodes[i]
	if n.Addr == addr {
		return "a route to the node itself"
	}
	for _, cidr := range n.PodCIDRs {
		if cidr.Contains(addr) {
			return fmt.Sprintf("ip route add %s via %s, %s", cidr, n.Addr, otherwise)
		}
	}
	return fmt.Sprintf("ip route add %s via %s, if its pods are routed by node, %s", netip.PrefixFrom(addr, addr.BitLen()), n.Addr, otherwise)
}
