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
	// sampleSize is the number of servers of each node to connect to.
	sampleSize = 3
	// connectTimeout is the time in which a server must answer. Within a network it
	// takes milliseconds. TCP repeats a lost packet after one second, and again after
	// three.
	connectTimeout = 2 * time.Second
)

// pods connects to some servers of each node, as HAProxy would.
func (p *preflight) pods(ctx context.Context, snapshot *kubeapi.Snapshot) {
	byNode := sample(p.compile(snapshot).State, snapshot)
	if len(byNode) == 0 {
		p.add("pods", "no Service has a server to connect to", nil, "")
		return
	}
	for _, node := range slices.Sorted(maps.Keys(byNode)) {
		p.node(ctx, node, byNode[node], snapshot)
	}
}

// sample returns some servers of each node, by the name of the node.
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
		for _, a := range n.Addrs {
			nodeOf[a] = n.Name
		}
	}
	byNode := map[string][]netip.AddrPort{}
	for _, b := range state.Backends.All() {
		for _, s := range b.Servers {
			name := nodeOf[s.Addr.Addr()]
			if len(byNode[name]) < sampleSize && !slices.Contains(byNode[name], s.Addr) {
				byNode[name] = append(byNode[name], s.Addr)
			}
		}
	}
	return byNode
}

// node connects to some servers of one node, concurrently.
func (p *preflight) node(ctx context.Context, name string, servers []netip.AddrPort, snapshot *kubeapi.Snapshot) {
	errs := make([]error, len(servers))
	var connecting sync.WaitGroup
	for i, addr := range servers {
		connecting.Go(func() {
			conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", addr.String())
			if err == nil {
				err = conn.Close()
			}
			errs[i] = err
		})
	}
	connecting.Wait()
	where := "servers"
	if name != "" {
		where = "node " + name
	}
	for i, addr := range servers {
		what := fmt.Sprintf("%s: %s", where, addr)
		switch err := errs[i]; { // see tcp(7), ip(7) and icmp(7)
		case err == nil:
			p.add("pods", what+" answers", nil, "")
		case errors.Is(err, syscall.ECONNREFUSED):
			p.findings = append(p.findings, Finding{Check: "pods", OK: true, What: what + " is reached, but refuses the connection",
				Help: "no process listens on this port: does the pod work?"})
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
			err = fmt.Errorf("no answer within %s: a firewall drops the packets, or there is no route back to this machine", connectTimeout)
			p.add("pods", what, err, routeHelp(name, addr.Addr(), snapshot))
		case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
			p.add("pods", what, fmt.Errorf("no route from this machine: %w", err), routeHelp(name, addr.Addr(), snapshot))
		default:
			p.add("pods", what, err, "")
		}
	}
}

// routeHelp returns the route that would lead to a pod by way of its node, as in
// networks without an overlay. With an overlay, only node ports can be reached from
// outside.
func routeHelp(node string, addr netip.Addr, snapshot *kubeapi.Snapshot) string {
	const overlay = `or upstream = "nodeport" if the pods' network is an overlay`
	i := slices.IndexFunc(snapshot.Nodes, func(n *kubeapi.Node) bool { return n.Name == node })
	family := kubeapi.IPv6
	if addr.Is4() {
		family = kubeapi.IPv4
	}
	via, ok := netip.Addr{}, false
	if i >= 0 {
		via, ok = snapshot.Nodes[i].Addr(family)
	}
	if !ok {
		return "a route to " + addr.String() + " by way of its node, " + overlay
	}
	n := snapshot.Nodes[i]
	if slices.Contains(n.Addrs, addr) {
		return "a route to the node itself"
	}
	for _, cidr := range n.PodCIDRs {
		if cidr.Contains(addr) {
			return fmt.Sprintf("ip route add %s via %s, %s", cidr, via, overlay)
		}
	}
	return fmt.Sprintf("ip route add %s via %s, if its pods are routed by node, %s", netip.PrefixFrom(addr, addr.BitLen()), via, overlay)
}
