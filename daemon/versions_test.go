// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

// hashesOtherwise is the version whose consistent hashes are its own: 2.6, 3.2 and
// 3.4 agree.
const hashesOtherwise = "3.0"

// TestEdgesOfTwoVersionsLeadAClientToTheSamePod is about edge nodes that stand
// side by side while one of them has another HAProxy: while a site is upgraded,
// say. Cookies, hashes and stick tables lead to the same pod through either, and
// do so after a reload of both.
func TestEdgesOfTwoVersionsLeadAClientToTheSamePod(t *testing.T) {
	binary := haproxytest.Other(t)
	one := newTown(t)
	one.rename("edge1")
	two := one.neighbourWith(haproxytest.Options{Name: "edge2", Binary: binary})
	versions := [2]string{one.version(), two.version()}
	if versions[0] == versions[1] {
		t.Fatalf("HAPROXY_OTHER is HAProxy %s too", versions[0])
	}
	t.Logf("HAProxy %s and %s", versions[0], versions[1])
	at1, at2 := one.freeAddr(), two.freeAddr()
	for _, tw := range []*town{one, two} {
		tw.configure(fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\", \"edge2=%s\"]\n", at1, at2))
	}
	var pods []*pod
	for n := range 5 {
		pods = append(pods, newPod(t, fmt.Sprintf("pod-%d", n)))
	}
	one.service("cookie", map[string]string{"cookie-sticky-session": "true"}, pods...)
	one.service("source", map[string]string{"algorithm": "source"}, pods...)
	err := one.api.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "shop", Name: "cart"}, Affinity: "ClientIP",
		Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
	one.endpoints("cart", pods[:3]...)
	one.start()
	two.start()
	for _, tw := range []*town{one, two} {
		tw.awaitServers("shop_cart_80", pods[:3]...)
		tw.awaitServers("shop_cookie_80", pods...)
		tw.awaitServers("shop_source_80", pods...)
	}
	one.endpoints("cart", pods...) // servers of the file, and two that came at runtime
	for _, tw := range []*town{one, two} {
		tw.awaitServers("shop_cart_80", pods...)
	}

	var clients []client
	for n := range 12 {
		c := client{ip: netip.AddrFrom4([4]byte{127, 94, 0, byte(n + 1)}).String()}
		c.meet(one)
		clients = append(clients, c)
	}
	two.awaitTable(len(clients))
	hashed := versions[0] != hashesOtherwise && versions[1] != hashesOtherwise
	for _, c := range clients {
		got := c.ask(two)
		if !hashed {
			got[1] = c.pods[1]
		}
		if got != c.pods {
			t.Errorf("through HAProxy %s, %s with %s reaches %q, want %q", versions[1], c.ip, c.cookie, got, c.pods)
		}
	}
	one.reloading("late", newPod(t, "late-0"))
	for i, tw := range []*town{one, two} {
		tw.awaitAnswer("any", "/late/", "200 late-0 /")
		for _, c := range clients {
			// A worker that served for a few seconds hands no stick table on.
			got := c.ask(tw)
			if !hashed && tw == two {
				got[1] = c.pods[1]
			}
			if [2]string(got[:2]) != [2]string(c.pods[:2]) {
				t.Errorf("after a reload, through HAProxy %s, %s with %s reaches %q, want %q", versions[i], c.ip, c.cookie, got[:2], c.pods[:2])
			}
		}
	}
}

// version is HAProxy's, "3.4" of 3.4.7.
func (tw *town) version() string {
	tw.t.Helper()
	p, err := tw.runtime.Process(tw.t.Context())
	if err != nil {
		tw.t.Fatal(err)
	}
	parts := strings.SplitN(p.Version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// client is somebody who was led to a pod of each Service.
type client struct {
	ip, cookie string
	pods       [3]string // by ask
}

// ask asks for the Services that lead by a cookie, by a hash and by a stick table.
func (c *client) ask(tw *town) (answers [3]string) {
	tw.t.Helper()
	for i, path := range []string{"/cookie/", "/source/", "/cart/"} {
		answer, err := from(c.ip, tw.http, "", path, "Cookie: "+c.cookie)
		if err != nil || !strings.HasPrefix(answer, "200 pod-") {
			tw.t.Fatalf("%s: %q, %v", path, answer, err)
		}
		answers[i] = answer
	}
	return answers
}

// meet comes for the first time.
func (c *client) meet(tw *town) {
	tw.t.Helper()
	cookie, answer := setCookie(tw.t, tw, "/cookie/", c.ip)
	c.cookie = cookie
	c.pods = c.ask(tw)
	if c.pods[0] != answer {
		tw.t.Errorf("%s of %s: %s, and then %s", cookie, c.ip, answer, c.pods[0])
	}
}
