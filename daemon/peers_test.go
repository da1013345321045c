// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

// rename replaces HAProxy by one that goes by this name among its peers.
func (e *edge) rename(t *testing.T, name string) {
	t.Helper()
	must(t, e.RunHAProxy(t.Context(), haproxytest.Options{Name: name}))
	e.configure(t, "")
}

// answerer is the pod that answers a client of that address.
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
	one := newEdgeOf(t, newCluster(t), haproxytest.Options{Name: "edge1"})
	two := newEdgeOf(t, one.Cluster, haproxytest.Options{Name: "edge2"})
	at1, at2 := one.freeAddr(t), two.freeAddr(t)
	for _, e := range []*edge{one, two} {
		e.configure(t, fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\", \"edge2=%s\"]\n", at1, at2))
	}
	var pods []*edgetest.Pod
	for n := range 4 {
		pods = append(pods, newPod(t, fmt.Sprintf("cart-%d", n)))
	}
	one.affine(t, "cart", pods...)
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

// A worker that has not learned yet what others know hands nothing on, and so
// must not be reloaded in the middle of that.
func TestAClientAddressSticksOverAReloadRightAfterTheStart(t *testing.T) {
	t.Parallel()
	e := newEdgeOf(t, newCluster(t), haproxytest.Options{Name: "edge1"})
	e.configure(t, fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\"]\n", e.freeAddr(t)))
	e.affine(t, "cart", newPod(t, "cart-0"), newPod(t, "cart-1"), newPod(t, "cart-2"))
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
	e.affine(t, "more", newPod(t, "more-0"))
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

// affine puts a Service that sticks by client address into the cluster.
func (e *edge) affine(t *testing.T, name string, pods ...*edgetest.Pod) {
	t.Helper()
	err := e.Cluster.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "shop", Name: name}, Affinity: "ClientIP",
		Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
	})
	must(t, err)
	e.endpoints(t, name, pods...)
}

// awaitTable waits until HAProxy knows so many clients of cart.
func (e *edge) awaitTable(t *testing.T, entries int) {
	t.Helper()
	eventually(t, "the stick table", func() error {
		conn, err := net.Dial("unix", e.HAProxy.Admin)
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "show table shop_cart_80\n"); err != nil {
			return err
		}
		reply, err := io.ReadAll(conn)
		if n := strings.Count(string(reply), ": key="); err == nil && n < entries {
			err = fmt.Errorf("%d entries", n)
		}
		return err
	})
}
