// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/edgetest"
	"podgate/haproxy"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// newNodes starts pods that act as the node ports of nodes: one port at several addresses.
func newNodes(t *testing.T, names ...string) []*edgetest.Pod {
	t.Helper()
	nodes := []*edgetest.Pod{newPod(t, names[0])}
	for _, name := range names[1:] {
		nodes = append(nodes, newPodOf(t, edgetest.PodOptions{Name: name, Port: nodes[0].Addr.Port()}))
	}
	return nodes
}

// byNodePort creates a Service with so many pods on each node, which no client can reach.
func (e *edge) byNodePort(t *testing.T, name string, svc kubeapi.Service, pods map[string]int) {
	t.Helper()
	svc.Key, svc.Type = kubeapi.Key{Namespace: "shop", Name: name}, "NodePort"
	must(t, e.Cluster.SetService(svc))
	slice := kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "shop", Name: name + "-1"}, Service: name,
		Ports: []kubeapi.EndpointPort{{Name: "web", Port: 9}},
	}
	for node, n := range pods {
		for range n {
			addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(len(slice.Endpoints) + 1)})
			slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: addr, Ready: true, Serving: true, Node: node})
		}
	}
	must(t, e.Cluster.SetSlice(slice))
}

func (e *edge) setNodes(t *testing.T, nodes ...*edgetest.Pod) {
	t.Helper()
	for _, n := range nodes {
		must(t, e.Cluster.SetNode(kubeapi.Node{Name: n.Name, Addrs: []netip.Addr{n.Addr.Addr()}, Ready: true}))
	}
}

// awaitWeights waits until HAProxy has these servers, by the name of their node
// and with their weight.
func (e *edge) awaitWeights(t *testing.T, backend string, nodes []*edgetest.Pod, want map[string]uint16) {
	t.Helper()
	names := map[netip.AddrPort]string{}
	for _, n := range nodes {
		names[n.Addr] = n.Name
	}
	eventually(t, "servers of "+backend, func() error {
		servers, err := e.Runtime.OwnServers(t.Context(), []string{backend})
		if err != nil {
			return err
		}
		got := map[string]uint16{}
		for _, s := range servers[backend] {
			if s.State == haproxy.Ready {
				got[names[s.Addr]] = max(1, s.Weight)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestNodePortsServeWherePodsCannotBeReached(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	nodes := newNodes(t, "cart-a", "cart-b", "cart-c")
	svc := kubeapi.Service{
		Annotations: map[string]string{"serviceloadbalancer/lb.upstream": "nodeport"}, Local: true,
		Ports: []kubeapi.ServicePort{{Name: "web", Port: 80, NodePort: nodes[0].Addr.Port()}},
	}
	e.service(t, "plain", nil, newPod(t, "plain-0"))
	e.start(t)
	e.awaitAnswer(t, "any", "/plain/", "200 plain-0 /")
	if strings.Contains(e.Log.String(), "nodes are followed") {
		t.Error("nodes are followed although no Service needs them")
	}
	e.setNodes(t, nodes...)
	e.byNodePort(t, "cart", svc, map[string]int{"cart-a": 2, "cart-b": 1})
	e.awaitWeights(t, "shop_cart_80", nodes, map[string]uint16{"cart-a": 2, "cart-b": 1})
	e.awaitLog(t, "nodes are followed too")
	pid := e.HAProxy.Pid()
	l := e.startLoad(t, "/cart/x")
	for _, row := range []struct {
		pods map[string]int
		want map[string]uint16
	}{
		{map[string]int{"cart-a": 2, "cart-b": 3, "cart-c": 1}, map[string]uint16{"cart-a": 2, "cart-b": 3, "cart-c": 1}},
		{map[string]int{"cart-b": 2, "cart-c": 2}, map[string]uint16{"cart-b": 1, "cart-c": 1}},
		{map[string]int{"cart-a": 1, "cart-c": 3}, map[string]uint16{"cart-a": 1, "cart-c": 3}},
	} {
		e.byNodePort(t, "cart", svc, row.pods)
		e.awaitWeights(t, "shop_cart_80", nodes, row.want)
	}
	e.checkPid(t, pid)
	// The weights survive a reload and a restart of podgate.
	e.service(t, "more", nil, newPod(t, "more-0"))
	e.awaitAnswer(t, "any", "/more/", "200 more-0 /")
	e.awaitWeights(t, "shop_cart_80", nodes, map[string]uint16{"cart-a": 1, "cart-c": 3})
	e.stop(t)

	// A podgate that may not list nodes keeps the servers that HAProxy has.
	e.Cluster.Misbehave(kubeapitest.Forbid("list", "nodes", ""), kubeapitest.Forbid("watch", "nodes", ""))
	e.Log.Reset()
	e.start(t)
	e.awaitLog(t, "nodes")
	e.service(t, "late", nil, newPod(t, "late-0"))
	e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
	e.awaitWeights(t, "shop_cart_80", nodes, map[string]uint16{"cart-a": 1, "cart-c": 3})
	e.Cluster.Behave()
	e.byNodePort(t, "cart", svc, map[string]int{"cart-b": 1})
	e.awaitWeights(t, "shop_cart_80", nodes, map[string]uint16{"cart-b": 1})
	e.awaitLogCount(t, "drift", 0)
	l.check(t)
}

func TestAClusterIPIsTheOnlyServer(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.configure(t, "[upstream]\nmode = \"clusterip\"\n")
	ip := newPod(t, "cart-ip")
	err := e.Cluster.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "shop", Name: "cart"}, ClusterIP: ip.Addr.Addr().String(),
		Ports: []kubeapi.ServicePort{{Name: "web", Port: ip.Addr.Port()}},
	})
	must(t, err)
	e.endpoints(t, "cart", &edgetest.Pod{Addr: netip.MustParseAddrPort("192.0.2.1:80"), Name: "unreachable"})
	e.start(t)
	e.awaitAnswer(t, "any", fmt.Sprintf("/cart:%d/", ip.Addr.Port()), "200 cart-ip /")
	e.endpoints(t, "cart")
	began := time.Now()
	eventually(t, "503 without pods", func() error {
		got, err := e.Get(t.Context(), "any", fmt.Sprintf("/cart:%d/", ip.Addr.Port()))
		if err == nil && !strings.HasPrefix(got, "503 ") {
			err = fmt.Errorf("got %s", got)
		}
		return err
	})
	t.Logf("503 after %s", time.Since(began).Round(time.Millisecond))
}

// TestTheUpstreamChangesUnderLoad changes upstream.mode from pods to node ports and back.
func TestTheUpstreamChangesUnderLoad(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	nodes := newNodes(t, "cart-a", "cart-b")
	pods := []*edgetest.Pod{newPod(t, "cart-0"), newPod(t, "cart-1")}
	e.setNodes(t, nodes...)
	must(t, e.Cluster.PutService(kubeapi.Service{
		Key: kubeapi.Key{Name: "cart"}, Type: "NodePort",
		Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80, NodePort: nodes[0].Addr.Port()}},
	}))
	e.endpoints(t, "cart", pods...)
	e.start(t)
	e.awaitServers(t, "shop_cart_80", pods...)
	l := e.startLoad(t, "/cart/a")
	for _, row := range []struct {
		mode    string
		servers []*edgetest.Pod
	}{{"nodeport", nodes}, {"pod", pods}} {
		e.set(t, "upstream.mode", row.mode)
		e.awaitServers(t, "shop_cart_80", row.servers...)
	}
	l.check(t)
}
