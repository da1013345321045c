// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"strings"
	"testing"

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
