// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/haproxy"
)

// TestARejectedServerHoldsBackNothingElse makes HAProxy reject one server, by giving all
// its ids to servers that podgate does not manage.
func TestARejectedServerHoldsBackNothingElse(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.serveCart(t)
	old, rejected, accepted := e.pods["cart"][0], newPod(t, "cart-1"), newPod(t, "cart-2")
	l := e.startLoad(t, "/cart/x")
	e.endpoints(t, "cart", old, accepted)
	e.awaitServers(t, "shop_cart_80", old, accepted) // podgate has looked for unmanaged servers before
	for attempt := range 5 {
		reply := e.command(t, fmt.Sprintf("add server shop_cart_80/other%d 127.0.0.1:9 id %d", attempt, haproxy.ServerID(rejected.Addr, attempt)))
		if !strings.Contains(reply, "New server registered") {
			t.Fatal(reply)
		}
	}
	e.endpoints(t, "cart", rejected, accepted, old)
	e.awaitLog(t, "is out of sync")
	e.endpoints(t, "cart", rejected, accepted)
	e.awaitServers(t, "shop_cart_80", accepted)
	e.service(t, "new", nil, newPod(t, "new-0"))
	e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
	e.command(t, "del server shop_cart_80/other0") // a reload for the new Service has removed it already
	e.awaitServers(t, "shop_cart_80", rejected, accepted)
	l.check(t)
	if n := strings.Count(e.Log.String(), "is out of sync"); n != 1 {
		t.Errorf("the rejection is logged %d times, want once", n)
	}
}

// TestARejectedStateOfAServerHoldsBackNothingElse has HAProxy reject one command "set
// server": it receives the command for a server that it does not have.
func TestARejectedStateOfAServerHoldsBackNothingElse(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	tp := e.tapSockets(t)
	e.service(t, "other", nil, newPod(t, "other-0"))
	e.serveCart(t)
	old, leaves, comes := e.pods["cart"][0], newPod(t, "cart-1"), newPod(t, "cart-2")
	e.endpoints(t, "cart", old, leaves)
	e.awaitServers(t, "shop_cart_80", old, leaves)
	l := e.startLoad(t, "/cart/x")
	server := "shop_cart_80/" + haproxy.ServerName(leaves.Addr)
	tp.replace("set server "+server+" state drain", "set server shop_cart_80/none state drain")
	terminating := edgetest.Terminating(leaves)
	must(t, e.Cluster.SetEndpoints("cart", append(edgetest.Ready(old), terminating...)...))
	e.awaitLog(t, "is out of sync")
	must(t, e.Cluster.SetEndpoints("cart", append(edgetest.Ready(old, comes), terminating...)...))
	e.endpoints(t, "other", newPod(t, "other-1"))
	e.awaitServers(t, "shop_cart_80", old, leaves, comes)
	e.awaitServers(t, "shop_other_80", e.pods["other"]...)
	e.awaitAnswer(t, "any", "/other/", "200 other-1 /")
	tp.pass()
	eventually(t, "the server drains", func() error {
		servers, err := e.Runtime.Servers(t.Context(), []string{"shop_cart_80"})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(servers["shop_cart_80"], func(s haproxy.Server) bool { return s.Addr == leaves.Addr && s.State == haproxy.Drain }) {
			return fmt.Errorf("%v", servers)
		}
		return nil
	})
	e.awaitLog(t, "is in sync again")
	e.awaitNoDifference(t)
	l.check(t)
	if n := strings.Count(e.Log.String(), "is out of sync"); n != 1 {
		t.Errorf("the rejection is logged %d times, want once", n)
	}
}

// TestARejectedCertificateHoldsBackNothingElse has HAProxy reject a renewal: it receives
// "set ssl cert" for a certificate that it does not have.
func TestARejectedCertificateHoldsBackNothingElse(t *testing.T) {
	t.Parallel()
	plain := newEdge(t)
	tp := plain.tapSockets(t)
	e := plain.withTLS(t)
	e.setHTTPS(t)
	e.certify(t, "shop.pem", "shop-1.test", "shop.test")
	e.certify(t, "other.pem", "other-1.test", "other.test")
	e.serveShop(t)
	e.awaitCertificate(t, "shop.test", "shop-1.test")
	e.awaitCertificate(t, "other.test", "other-1.test")
	path := e.certificateFile(t, "shop")
	tp.replace("set ssl cert "+path, "set ssl cert /nonexistent.pem")
	e.certify(t, "shop.pem", "shop-2.test", "shop.test")
	e.awaitLog(t, "is out of sync")
	e.certify(t, "other.pem", "other-2.test", "other.test")
	e.endpoints(t, "shop", newPod(t, "shop-1"))
	e.awaitCertificate(t, "other.test", "other-2.test")
	e.awaitTLSAnswer(t, "shop.test", "/x", "200 shop-1 /x")
	e.awaitCertificate(t, "shop.test", "shop-1.test") // as before
	tp.pass()
	e.certify(t, "shop.pem", "shop-3.test", "shop.test") // another one does not wait for the retry
	e.awaitCertificate(t, "shop.test", "shop-3.test")
	e.awaitLog(t, "is in sync again")
	if n := strings.Count(e.Log.String(), "is out of sync"); n != 1 {
		t.Errorf("the rejection is logged %d times, want once", n)
	}
}
