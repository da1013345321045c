// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

// rename replaces HAProxy by one that has this name among its peers.
func (e *edge) rename(t *testing.T, name string) {
	t.Helper()
	must(t, e.RunHAProxy(t.Context(), haproxytest.Options{Name: name}))
	e.configure(t, "")
}

// answerer returns the name of the pod that answers a client with that address.
func (e *edge) answerer(ip string) (string, error) {
	got, err := from(ip, e.HTTP, "", "/cart/")
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(got, "200 ") {
		return "", errors.New(got)
	}
	return strings.Fields(got)[1], nil
}

func TestAClientAddressSticksOnEveryPeer(t *testing.T) {
	t.Parallel()
	one := newEdgeIn(t, newCluster(t), haproxytest.Options{Name: "edge1"})
	two := newEdgeIn(t, one.Cluster, haproxytest.Options{Name: "edge2"})
	at1, at2 := one.freeAddr(t), two.freeAddr(t)
	for _, e := range []*edge{one, two} {
		e.configure(t, fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\", \"edge2=%s\"]\n", at1, at2))
	}
	var pods []*edgetest.Pod
	for n := range 4 {
		pods = append(pods, newPod(t, fmt.Sprintf("cart-%d", n)))
	}
	one.serviceWithAffinity(t, "cart", pods...)
	one.start(t)
	two.start(t)
	want := map[string]string{}
	for n := range 20 {
		ip := netip.AddrFrom4([4]byte{127, 95, 0, byte(n + 1)}).String()
		eventually(t, "edge one answers", func() (err error) { want[ip], err = one.answerer(ip); return err })
	}
	two.awaitTable(t, len(want))
	for ip, pod := range want {
		if got, err := two.answerer(ip); got != pod {
			t.Errorf("through edge two, %s reaches %s, %v, want %s", ip, got, err, pod)
		}
	}
}

// A worker that has not learned the stick tables of its peers yet passes nothing on to the
// next worker, so podgate must not reload HAProxy before.
func TestAClientAddressSticksOverAReloadRightAfterTheStart(t *testing.T) {
	t.Parallel()
	e := newEdgeIn(t, newCluster(t), haproxytest.Options{Name: "edge1"})
	e.configure(t, fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\"]\n", e.freeAddr(t)))
	e.serviceWithAffinity(t, "cart", newPod(t, "cart-0"), newPod(t, "cart-1"), newPod(t, "cart-2"))
	e.start(t)
	eventually(t, "the edge answers", func() error { _, err := e.answerer("127.95.1.100"); return err })
	e.awaitReloads(t)
	e.stop(t)
	must(t, e.HAProxy.Restart(t.Context()))
	e.start(t)
	want := map[string]string{}
	for n := range 20 {
		ip := netip.AddrFrom4([4]byte{127, 95, 1, byte(n + 1)}).String()
		eventually(t, "the edge answers", func() (err error) { want[ip], err = e.answerer(ip); return err })
	}
	pid := e.HAProxy.Pid()
	e.serviceWithAffinity(t, "more", newPod(t, "more-0"))
	e.awaitAnswer(t, "any", "/more/", "200 more-0 /")
	if e.HAProxy.Pid() == pid {
		t.Fatal("HAProxy was not reloaded")
	}
	e.awaitTable(t, len(want))
	for ip, pod := range want {
		if got, err := e.answerer(ip); got != pod {
			t.Errorf("after a reload, %s reaches %s, %v, want %s", ip, got, err, pod)
		}
	}
}

// serviceWithAffinity creates a Service with sessionAffinity: ClientIP.
func (e *edge) serviceWithAffinity(t *testing.T, name string, pods ...*edgetest.Pod) {
	t.Helper()
	must(t, e.Cluster.PutService(kubeapi.Service{Key: kubeapi.Key{Name: name}, Affinity: "ClientIP"}))
	e.endpoints(t, name, pods...)
}

// awaitTable waits until the stick table of cart has so many entries.
func (e *edge) awaitTable(t *testing.T, entries int) {
	t.Helper()
	awaitThat(t, "the stick table has all clients", func() bool {
		return strings.Count(e.command(t, "show table shop_cart_80"), ": key=") >= entries
	})
}
