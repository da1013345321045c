// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"testing"

	"podgate/haproxy/runtime"
	"podgate/kubeapi/kubeapitest"
)

// useAPIServers writes podgate.toml with these API servers.
func (e *edge) useAPIServers(t *testing.T, replicas ...*kubeapitest.Replica) {
	t.Helper()
	var urls []string
	for _, r := range replicas {
		urls = append(urls, r.URL())
	}
	e.set(t, "kubernetes.server", urls)
}

func TestPodgateFollowsTheNextAPIServerAndStaysWithIt(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	one, two := kubeapitest.StartReplica(t, e.Cluster), kubeapitest.StartReplica(t, e.Cluster)
	e.useAPIServers(t, one, two)
	l := e.startLoaded(t)
	const changed = `msg="another API server is followed"`

	one.Stop()
	e.endpoints(t, "cart", newPod(t, "cart-2"))
	e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
	e.awaitLogCount(t, changed+" server="+two.URL()+" last="+one.URL(), 1)

	one.Start()
	before := one.Requests()
	for n := range 10 {
		e.endpoints(t, "cart", newPod(t, fmt.Sprintf("cart-%d", n+3)))
		e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
	}
	if got := one.Requests(); got != before {
		t.Errorf("the first received %d requests after podgate had left it", got-before)
	}

	two.Stop()
	e.endpoints(t, "cart", newPod(t, "cart-13"))
	e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
	e.awaitLogCount(t, changed, 2)

	// A changed list is followed without a restart.
	three := kubeapitest.StartReplica(t, e.Cluster)
	e.useAPIServers(t, three, two)
	awaitThat(t, "the new API server receives a request", func() bool { return three.Requests() > 0 })
	one.Stop()
	e.endpoints(t, "cart", newPod(t, "cart-14"))
	e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
	l.check(t)
	e.awaitLogCount(t, changed, 2)
	e.awaitLogCount(t, "API server unreachable", 0)
	e.checkOneReload(t)
}

func TestAnOutageOfTheAPIServerFailsNoRequest(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	for n := range 3 {
		e.Cluster.Stop()
		e.awaitLogCount(t, "API server unreachable", n+1)
		e.endpoints(t, "cart", newPod(t, fmt.Sprintf("cart-%d", n+2)))
		must(t, e.Cluster.Start(""))
		e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
		e.awaitLogCount(t, "API server reachable", n+1)
	}
	l.check(t)
	e.checkOneReload(t)
}

// TestRestartsWithoutAnAPIServer restarts podgate and HAProxy several times, each alone
// and both together: the same servers serve.
func TestRestartsWithoutAnAPIServer(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	l := e.startLoaded(t)
	e.endpoints(t, "shop", newPod(t, "shop-2")) // added at run time, not by the reload
	e.awaitServers(t, "shop_shop_80", e.pods["shop"]...)
	e.awaitFile(t, "podgate.cfg", e.pods["shop"][0].Addr.String())
	e.Cluster.Stop()
	e.awaitLogCount(t, "API server unreachable", 1)

	serves := func() {
		t.Helper()
		e.awaitAnswer(t, "any", "/cart/x", "200 cart-0 /x")
		e.awaitAnswer(t, "any", "/shop/x", "200 shop-2 /x")
		e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
		e.awaitServers(t, "shop_shop_80", e.pods["shop"]...)
	}
	restartPodgate := func() {
		t.Helper()
		e.stop(t)
		e.Log.Reset()
		e.start(t)
		e.awaitLogCount(t, "API server unreachable", 1)
	}

	// Restarts of podgate and reloads by another program fail no request.
	for range 3 {
		restartPodgate()
		serves()
	}
	before, err := e.Runtime.Process(t.Context())
	must(t, err)
	other := runtime.New(e.HAProxy.Admin, e.HAProxy.Master, e.HAProxy.Folder)
	if _, err := other.Reload(t.Context(), before.Generation); err != nil {
		t.Fatal(err)
	}
	serves()
	l.check(t)

	for range 3 {
		e.restartHAProxy(t)
		serves()
		restartPodgate()
		serves()
		e.stop(t) // HAProxy starts while there is no podgate
		e.restartHAProxy(t)
		serves()
		e.start(t)
		serves()
	}
	e.checkOneReload(t)
	if got := e.Drift(); got > 0 {
		t.Errorf("drift %d, want 0", got)
	}

	must(t, e.Cluster.Start(""))
	e.endpoints(t, "cart", newPod(t, "cart-9"))
	e.awaitAnswer(t, "any", "/cart/x", "200 cart-9 /x")
}
