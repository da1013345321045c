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

	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

// neighbour is another edge node of the same cluster.
func (tw *town) neighbour(name string) *town {
	return tw.neighbourWith(haproxytest.Options{Name: name})
}

func (tw *town) neighbourWith(o haproxytest.Options) *town {
	other := newTown(tw.t)
	other.api = tw.api
	other.runWith(o)
	return other
}

// rename runs HAProxy as an edge node of that name.
func (tw *town) rename(name string) { tw.runWith(haproxytest.Options{Name: name}) }

// runWith runs another HAProxy in the place of the one that is there.
func (tw *town) runWith(o haproxytest.Options) {
	tw.haproxy = haproxytest.Run(tw.t, o)
	tw.runtime = runtime.New(tw.haproxy.Admin, tw.haproxy.Master, tw.haproxy.Folder)
	tw.configure("")
}

// answerer is the pod that answers a client of that address.
func (tw *town) answerer(ip string) (string, error) {
	got, err := from(ip, tw.http, "", "/cart/")
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(got, "200 ") {
		return "", errors.New(got)
	}
	return strings.Fields(got)[1], nil
}

func TestAClientAddressSticksOnEveryPeer(t *testing.T) {
	one := newTown(t)
	one.rename("edge1")
	two := one.neighbour("edge2")
	at1, at2 := one.freeAddr(), two.freeAddr()
	for _, tw := range []*town{one, two} {
		tw.configure(fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\", \"edge2=%s\"]\n", at1, at2))
	}
	var pods []*pod
	for n := range 4 {
		pods = append(pods, newPod(t, fmt.Sprintf("cart-%d", n)))
	}
	one.affine("cart", pods...)
	one.start()
	two.start()
	want := map[string]string{}
	for n := range 20 {
		ip := netip.AddrFrom4([4]byte{127, 95, 0, byte(n + 1)}).String()
		eventually(t, "edge one answers", func() (err error) { want[ip], err = one.answerer(ip); return err })
	}
	two.awaitTable(len(want))
	for ip, pod := range want {
		if got, err := two.answerer(ip); got != pod {
			t.Errorf("through edge two, %s reaches %s, %v, want %s", ip, got, err, pod)
		}
	}
}

// A worker that has not learned yet what others know hands nothing on, and so
// must not be reloaded in the middle of that.
func TestAClientAddressSticksOverAReloadRightAfterTheStart(t *testing.T) {
	tw := newTown(t)
	tw.rename("edge1")
	tw.configure(fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\"]\n", tw.freeAddr()))
	tw.affine("cart", newPod(t, "cart-0"), newPod(t, "cart-1"), newPod(t, "cart-2"))
	tw.start()
	eventually(t, "the edge answers", func() error { _, err := tw.answerer("127.95.1.100"); return err })
	tw.awaitReloads()
	tw.stop()
	if err := tw.haproxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	tw.start()
	want := map[string]string{}
	for n := range 20 {
		ip := netip.AddrFrom4([4]byte{127, 95, 1, byte(n + 1)}).String()
		eventually(t, "the edge answers", func() (err error) { want[ip], err = tw.answerer(ip); return err })
	}
	pid := tw.haproxy.Pid()
	tw.affine("more", newPod(t, "more-0"))
	tw.awaitAnswer("any", "/more/", "200 more-0 /")
	if tw.haproxy.Pid() == pid {
		t.Fatal("HAProxy was not reloaded")
	}
	tw.awaitTable(len(want))
	for ip, pod := range want {
		if got, err := tw.answerer(ip); got != pod {
			t.Errorf("after a reload, %s reaches %s, %v, want %s", ip, got, err, pod)
		}
	}
}

// affine puts a Service that sticks by client address into the cluster.
func (tw *town) affine(name string, pods ...*pod) {
	tw.t.Helper()
	err := tw.api.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "shop", Name: name}, Affinity: "ClientIP",
		Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
	})
	if err != nil {
		tw.t.Fatal(err)
	}
	tw.endpoints(name, pods...)
}

// awaitTable waits until HAProxy knows so many clients of cart.
func (tw *town) awaitTable(entries int) {
	tw.t.Helper()
	eventually(tw.t, "the stick table", func() error {
		conn, err := net.Dial("unix", tw.haproxy.Admin)
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
