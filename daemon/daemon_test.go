// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"testing"
)

func TestAServiceIsServedAndFollowed(t *testing.T) {
	tw := newTown(t)
	one, two := newPod(t, "one"), newPod(t, "two")
	tw.service("cart", nil, one)
	tw.start()
	tw.awaitAnswer("any.example.com", "/cart/x", "200 one /x")
	tw.endpoints("cart", two)
	tw.awaitAnswer("any.example.com", "/cart/x", "200 two /x")
	tw.endpoints("cart")
	tw.awaitAnswer("any.example.com", "/nowhere", "404 404 no Service is reached by this host and path")
	if got := tw.passes.reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
}
