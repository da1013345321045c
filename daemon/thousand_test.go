// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"podgate/daemon/edgetest"
)

// TestAThousandEndpointChangesUnderLoad gives a Service other pods a thousand
// times, faster than podgate looks, under short, kept, slow and upgraded
// connections.
func TestAThousandEndpointChangesUnderLoad(t *testing.T) {
	t.Parallel()
	e, l := streets(t)
	before := e.HAProxy.Pid()
	conn := upgrade(t, e.HTTP, "/cart/upgrade")
	echo(t, conn, "before")
	var pool []*edgetest.Pod
	for n := range 6 {
		pool = append(pool, newPod(t, fmt.Sprintf("cart-%d", n+2)))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 1000 {
		random.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
		e.endpoints(t, "cart", pool[:1+random.IntN(3)]...)
		if n%100 == 99 {
			e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
		}
	}
	echo(t, conn, "behind a pod that left")
	l.check(t)
	if got := e.HAProxy.Pid(); got != before {
		t.Errorf("HAProxy was reloaded: %q", e.Reloads())
	}
}
