// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// newNodes are pods that stand for the node ports of nodes: one port, several
// addresses.
func newNodes(t *testing.T, names ...string) []*pod {
	t.Helper()
	nodes := []*pod{newPod(t, names[0])}
	for _, name := range names[1:] {
		n := podNumber.Add(1)
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 77, byte(n >> 8), byte(n)}), nodes[0].addr.Port())
		listener, err := net.Listen("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		p := &pod{addr: addr, name: name}
		p.server = &http.Server{Handler: p}
		go p.server.Serve(listener)
		t.Cleanup(func() { p.server.Close() })
		nodes = append(nodes, p)
	}
	return nodes
}

// byNodePort puts a Service into the cluster that has pods that nobody reaches,
// so many on each node.
func (tw *town) byNodePort(name string, svc kubeapi.Service, pods map[string]int) {
	tw.t.Helper()
	svc.Key, svc.Type = kubeapi.Key{Namespace: "shop", Name: name}, "NodePort"
	if err := tw.api.SetService(svc); err != nil {
		tw.t.Fatal(err)
	}
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
	if err := tw.api.SetSlice(slice); err != nil {
		tw.t.Fatal(err)
	}
}

func (tw *town) setNodes(nodes ...*pod) {
	tw.t.Helper()
	for _, n := range nodes {
		if err := tw.api.SetNode(kubeapi.Node{Name: n.name, Addr: n.addr.Addr(), Ready: true}); err != nil {
			tw.t.Fatal(err)
		}
	}
}

// awaitWeights waits until HAProxy has these servers, by the name of their node
// and with their weight.
func (tw *town) awaitWeights(backend string, nodes []*pod, want map[string]uint16) {
	tw.t.Helper()
	names := map[netip.AddrPort]string{}
	for _, n := range nodes {
		names[n.addr] = n.name
	}
	eventually(tw.t, "servers of "+backend, func() error {
		servers, err := tw.runtime.Servers(tw.t.Context(), []string{backend})
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
	tw := newTown(t)
	nodes := newNodes(t, "cart-a", "cart-b", "cart-c")
	svc := kubeapi.Service{
		Annotations: map[string]string{"serviceloadbalancer/lb.upstream": "nodeport"}, Local: true,
		Ports: []kubeapi.ServicePort{{Name: "web", Port: 80, NodePort: nodes[0].addr.Port()}},
	}
	tw.service("plain", nil, newPod(t, "plain-0"))
	tw.start()
	tw.awaitAnswer("any", "/plain/", "200 plain-0 /")
	if strings.Contains(tw.log.String(), "nodes are followed") {
		t.Error("nodes are followed and nobody needs them")
	}
	tw.setNodes(nodes...)
	tw.byNodePort("cart", svc, map[string]int{"cart-a": 2, "cart-b": 1})
	tw.awaitWeights("shop_cart_80", nodes, map[string]uint16{"cart-a": 2, "cart-b": 1})
	tw.awaitLog("nodes are followed too")
	pid := tw.haproxy.Pid()
	l := tw.startLoad("/cart/x")
	for _, row := range []struct {
		pods map[string]int
		want map[string]uint16
	}{
		{map[string]int{"cart-a": 2, "cart-b": 3, "cart-c": 1}, map[string]uint16{"cart-a": 2, "cart-b": 3, "cart-c": 1}},
		{map[string]int{"cart-b": 2, "cart-c": 2}, map[string]uint16{"cart-b": 1, "cart-c": 1}},
		{map[string]int{"cart-a": 1, "cart-c": 3}, map[string]uint16{"cart-a": 1, "cart-c": 3}},
	} {
		tw.byNodePort("cart", svc, row.pods)
		tw.awaitWeights("shop_cart_80", nodes, row.want)
	}
	if tw.haproxy.Pid() != pid {
		t.Errorf("HAProxy was reloaded: %q", tw.passes.reloads())
	}
	// Over a reload and a restart of podgate.
	tw.service("more", nil, newPod(t, "more-0"))
	tw.awaitAnswer("any", "/more/", "200 more-0 /")
	tw.awaitWeights("shop_cart_80", nodes, map[string]uint16{"cart-a": 1, "cart-c": 3})
	tw.stop()

	// A podgate that may not list nodes knows no better than HAProxy.
	tw.api.Misbehave(kubeapitest.Forbid("list", "nodes", ""), kubeapitest.Forbid("watch", "nodes", ""))
	tw.log = new(logBuffer)
	tw.start()
	tw.awaitLog("nodes")
	tw.service("late", nil, newPod(t, "late-0"))
	tw.awaitAnswer("any", "/late/", "200 late-0 /")
	tw.awaitWeights("shop_cart_80", nodes, map[string]uint16{"cart-a": 1, "cart-c": 3})
	tw.api.Behave()
	tw.byNodePort("cart", svc, map[string]int{"cart-b": 1})
	tw.awaitWeights("shop_cart_80", nodes, map[string]uint16{"cart-b": 1})
	if strings.Contains(tw.log.String(), "drift") {
		t.Error("weights are drift")
	}
	l.check(t)
}

func TestAClusterIPStandsForItsPods(t *testing.T) {
	tw := newTown(t)
	tw.configure("[upstream]\nmode = \"clusterip\"\n")
	ip := newPod(t, "cart-ip")
	err := tw.api.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "shop", Name: "cart"}, ClusterIP: ip.addr.Addr().String(),
		Ports: []kubeapi.ServicePort{{Name: "web", Port: ip.addr.Port()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tw.endpoints("cart", &pod{addr: netip.MustParseAddrPort("192.0.2.1:80"), name: "unreachable"})
	tw.start()
	tw.awaitAnswer("any", fmt.Sprintf("/cart:%d/", ip.addr.Port()), "200 cart-ip /")
	tw.endpoints("cart")
	began := time.Now()
	eventually(t, "503 without pods", func() error {
		status, _, err := tw.get("any", fmt.Sprintf("/cart:%d/", ip.addr.Port()))
		if err == nil && status != http.StatusServiceUnavailable {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
	t.Logf("503 after %s", time.Since(began).Round(time.Millisecond))
}
