// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

// otherHashes is the version whose consistent hashes differ from those of 2.6, 3.2 and 3.4.
const otherHashes = "3.0"

// TestEdgesWithTwoVersionsSendAClientToTheSamePod has two edge nodes with different
// versions of HAProxy, as during an upgrade. Cookies, hashes and stick tables select the
// same pod through either node, also after a reload of both.
func TestEdgesWithTwoVersionsSendAClientToTheSamePod(t *testing.T) {
	t.Parallel()
	binary := haproxytest.Other(t)
	one := newEdgeIn(t, newCluster(t), haproxytest.Options{Name: "edge1"})
	two := newEdgeIn(t, one.Cluster, haproxytest.Options{Name: "edge2", Binary: binary})
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
	one.serviceWithAffinity(t, "cart", pods[:3]...)
	one.start(t)
	two.start(t)
	for _, e := range []*edge{one, two} {
		e.awaitServers(t, "shop_cart_80", pods[:3]...)
		e.awaitServers(t, "shop_cookie_80", pods...)
		e.awaitServers(t, "shop_source_80", pods...)
	}
	one.endpoints(t, "cart", pods...) // three servers of the file, and two added at run time
	for _, e := range []*edge{one, two} {
		e.awaitServers(t, "shop_cart_80", pods...)
	}

	var clients []client
	for n := range 12 {
		c := client{ip: netip.AddrFrom4([4]byte{127, 94, 0, byte(n + 1)}).String()}
		c.visit(t, one)
		clients = append(clients, c)
	}
	two.awaitTable(t, len(clients))
	hashed := versions[0] != otherHashes && versions[1] != otherHashes
	for _, c := range clients {
		got := c.ask(t, two)
		if !hashed {
			got[1] = c.pods[1]
		}
		if got != c.pods {
			t.Errorf("through HAProxy %s, %s with %s reaches %q, want %q", versions[1], c.ip, c.cookie, got, c.pods)
		}
	}
	one.serviceWithReload(t, "late", newPod(t, "late-0"))
	for i, e := range []*edge{one, two} {
		e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
		for _, c := range clients {
			// A worker that has served only for a few seconds passes no stick table on.
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

// version returns the version of HAProxy without the patch level: "3.4".
func (e *edge) version(t *testing.T) string {
	t.Helper()
	p, err := e.Runtime.Process(t.Context())
	must(t, err)
	parts := strings.SplitN(p.Version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// client has reached a pod of each Service.
type client struct {
	ip, cookie string
	pods       [3]string // the result of ask
}

// ask requests the Services that select a pod by a cookie, a hash and a stick table, and
// returns the answers.
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

// visit sends the first requests of the client.
func (c *client) visit(t *testing.T, e *edge) {
	t.Helper()
	cookie, answer := setCookie(t, e, "/cookie/", c.ip)
	c.cookie = cookie
	c.pods = c.ask(t, e)
	if c.pods[0] != answer {
		t.Errorf("%s of %s: %s, and then %s", cookie, c.ip, answer, c.pods[0])
	}
}
