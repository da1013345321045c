// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"podgate/daemon/edgetest"
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
	t.Parallel()
	binary := haproxytest.Other(t)
	one := newEdgeOf(t, newCluster(t), haproxytest.Options{Name: "edge1"})
	two := newEdgeOf(t, one.Cluster, haproxytest.Options{Name: "edge2", Binary: binary})
	versions := [2]string{one.version(t), two.version(t)}
	if versions[0] == versions[1] {
		t.Fatalf("HAPROXY_OTHER is HAProxy %s too", versions[0])
	}
	t.Logf("HAProxy %s and %s", versions[0], versions[1])
	at1, at2 := one.freeAddr(t), two.freeAddr(t)
	for _, e := range []*edge{one, two} {
		e.configure(t, fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\", \"edge2=%s\"]\n", at1, at2))
	}
	var pods []*edgetest.Pod
	for n := range 5 {
		pods = append(pods, newPod(t, fmt.Sprintf("pod-%d", n)))
	}
	one.service(t, "cookie", map[string]string{"cookie-sticky-session": "true"}, pods...)
	one.service(t, "source", map[string]string{"algorithm": "source"}, pods...)
	err := one.Cluster.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "shop", Name: "cart"}, Affinity: "ClientIP",
		Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
	})
	must(t, err)
	one.endpoints(t, "cart", pods[:3]...)
	one.start(t)
	two.start(t)
	for _, e := range []*edge{one, two} {
		e.awaitServers(t, "shop_cart_80", pods[:3]...)
		e.awaitServers(t, "shop_cookie_80", pods...)
		e.awaitServers(t, "shop_source_80", pods...)
	}
	one.endpoints(t, "cart", pods...) // servers of the file, and two that came at runtime
	for _, e := range []*edge{one, two} {
		e.awaitServers(t, "shop_cart_80", pods...)
	}

	var clients []client
	for n := range 12 {
		c := client{ip: netip.AddrFrom4([4]byte{127, 94, 0, byte(n + 1)}).String()}
		c.meet(t, one)
		clients = append(clients, c)
	}
	two.awaitTable(t, len(clients))
	hashed := versions[0] != hashesOtherwise && versions[1] != hashesOtherwise
	for _, c := range clients {
		got := c.ask(t, two)
		if !hashed {
			got[1] = c.pods[1]
		}
		if got != c.pods {
			t.Errorf("through HAProxy %s, %s with %s reaches %q, want %q", versions[1], c.ip, c.cookie, got, c.pods)
		}
	}
	one.reloading(t, "late", newPod(t, "late-0"))
	for i, e := range []*edge{one, two} {
		e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
		for _, c := range clients {
			// A worker that served for a few seconds hands no stick table on.
			got := c.ask(t, e)
			if !hashed && e == two {
				got[1] = c.pods[1]
			}
			if [2]string(got[:2]) != [2]string(c.pods[:2]) {
				t.Errorf("after a reload, through HAProxy %s, %s with %s reaches %q, want %q", versions[i], c.ip, c.cookie, got[:2], c.pods[:2])
			}
		}
	}
}

// version is HAProxy's, "3.4" of 3.4.7.
func (e *edge) version(t *testing.T) string {
	t.Helper()
	p, err := e.Runtime.Process(t.Context())
	must(t, err)
	parts := strings.SplitN(p.Version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// client is somebody who was led to a pod of each Service.
type client struct {
	ip, cookie string
	pods       [3]string // by ask
}

// ask asks for the Services that lead by a cookie, by a hash and by a stick table.
func (c *client) ask(t *testing.T, e *edge) (answers [3]string) {
	t.Helper()
	for i, path := range []string{"/cookie/", "/source/", "/cart/"} {
		answer, err := from(c.ip, e.HTTP, "", path, "Cookie: "+c.cookie)
		if err != nil || !strings.HasPrefix(answer, "200 pod-") {
			t.Fatalf("%s: %q, %v", path, answer, err)
		}
		answers[i] = answer
	}
	return answers
}

// meet comes for the first time.
func (c *client) meet(t *testing.T, e *edge) {
	t.Helper()
	cookie, answer := setCookie(t, e, "/cookie/", c.ip)
	c.cookie = cookie
	c.pods = c.ask(t, e)
	if c.pods[0] != answer {
		t.Errorf("%s of %s: %s, and then %s", cookie, c.ip, answer, c.pods[0])
	}
}
