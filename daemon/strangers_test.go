// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"io"
	"net"
	"testing"

	"podgate/daemon/admin"
)

// TestStrangersDelayNoEndpointChange leaves hundreds of connections open on the status page
// and on the control socket, with half a request, or without reading the answer: podgate
// follows the cluster, and an operator gets the status.
func TestStrangersDelayNoEndpointChange(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	page := e.freeAddr(t)
	e.set(t, "admin.listen", []string{page.String()})
	e.serveCart(t)
	l := e.startLoad(t, "/cart/a")
	for n := range 3 {
		for i := range 200 {
			network, address := "tcp", page.String()
			if i%2 == 0 {
				network, address = "unix", e.Socket
			}
			conn, err := net.Dial(network, address)
			must(t, err)
			defer conn.Close()
			_, _ = io.WriteString(conn, []string{"", "GET /metr", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"}[i%3]) // it may be closed already
		}
		pod := newPod(t, fmt.Sprintf("cart-%d", n+1))
		e.endpoints(t, "cart", pod)
		e.awaitServers(t, "shop_cart_80", pod)
		eventually(t, "the status", func() error {
			_, err := admin.NewClient(e.Socket).Status(t.Context(), 0)
			return err
		})
	}
	l.check(t)
}
