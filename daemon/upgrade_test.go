// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"

	"podgate/daemon/edgetest"
)

// TestUpgradesToAnotherHTTPAreNotPassedOn requests upgrades from a pod that accepts every
// one. After a 101 HAProxy passes bytes on, so that each later request of the connection
// would reach this pod, past the routes and allow-source.
func TestUpgradesToAnotherHTTPAreNotPassedOn(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	pod := newPodOf(t, edgetest.PodOptions{Name: "cart", Configure: func(server *http.Server) {
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if token := r.Header.Get("Upgrade"); token != "" {
				w.Header().Set("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") // RFC 6455 section 1.3
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Upgrade", token)
				w.WriteHeader(http.StatusSwitchingProtocols)
				return
			}
			fmt.Fprint(w, r.Header.Get("HTTP2-Settings"))
		})
	}})
	e.service(t, "cart", nil, pod)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 ")
	for _, row := range []struct {
		upgrade string
		want    int
	}{
		{"h2c", http.StatusOK},
		{"H2C", http.StatusOK},
		{"HTTP/2.0", http.StatusOK},
		{"TLS/1.2, HTTP/1.1", http.StatusOK},
		{"websocket", http.StatusSwitchingProtocols},
		{"not-h2c", http.StatusSwitchingProtocols},
	} {
		conn, err := net.Dial("tcp", e.HTTP.String())
		must(t, err)
		fmt.Fprintf(conn, "GET /cart/ HTTP/1.1\r\nHost: any\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\n"+
			"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", row.upgrade)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err)
		if resp.StatusCode != row.want {
			t.Errorf("Upgrade: %s: got %s, want %d", row.upgrade, resp.Status, row.want)
		}
		must(t, conn.Close())
	}
}
