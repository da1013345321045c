// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"testing"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

// TestServersFollowTheProtocolOfTheirService changes the protocol of a Service whose pod
// keeps its address. HAProxy reads the servers' states at the reload, and with them
// whether a server uses TLS.
func TestServersFollowTheProtocolOfTheirService(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	pod := newPod(t, "cart-0")
	e.service(t, "cart", nil, pod)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	for _, row := range []struct {
		name, protocol string
		certificate    []byte
	}{
		{"cart-1", "https", haproxytest.Certificate(t, "cart")},
		{"cart-2", "http", nil},
		{"cart-3", "https", haproxytest.Certificate(t, "cart")},
	} {
		addr := pod.Addr
		pod.Close()
		pod = newPodOf(t, edgetest.PodOptions{Name: row.name, Addr: addr.Addr(), Port: addr.Port(), Certificate: row.certificate})
		if pod.Addr != addr {
			t.Fatalf("the pod is at %s, not at %s", pod.Addr, addr)
		}
		e.service(t, "cart", map[string]string{"backend-protocol": row.protocol}, pod)
		e.awaitAnswer(t, "any", "/cart/", "200 "+row.name+" /")
	}
}
