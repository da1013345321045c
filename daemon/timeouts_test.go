// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"podgate/daemon/edgetest"
)

// TestRequestsWaitForAConnection sends three requests at the same time to a pod that gets
// one connection. They wait longer than timeout_connect.
func TestRequestsWaitForAConnection(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.Set("defaults.timeout_connect", "100ms")
	e.configure(t, "")
	e.service(t, "cart", map[string]string{"maxconn": "1"}, newPod(t, "cart-0"))
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() {
			got, err := e.Get(t.Context(), "any", "/cart/?sleep=300ms")
			if want := "200 cart-0 /"; got != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	waiting.Wait()
}

// TestTimeoutServerEndsASilentTCPConnection would take an hour if timeout_tunnel applied.
func TestTimeoutServerEndsASilentTCPConnection(t *testing.T) {
	t.Parallel()
	endsSilentTCPConnection(t, map[string]string{"timeout-server": "1s"})
}

func TestTimeoutTunnelEndsASilentTCPConnection(t *testing.T) {
	t.Parallel()
	endsSilentTCPConnection(t, map[string]string{"timeout-tunnel": "1s", "timeout-server": "1h"})
}

func endsSilentTCPConnection(t *testing.T, annotations map[string]string) {
	t.Helper()
	e := newEdge(t)
	addr := e.freeAddr(t)
	e.configure(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]\n", addr.Addr(), addr.Port()))
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	annotations["tcp"], annotations["check"] = fmt.Sprint(addr.Port()), "false"
	e.service(t, "db", annotations, &edgetest.Pod{Name: "db-0", Addr: netip.MustParseAddrPort(silent.Addr().String())})
	e.start(t)
	e.awaitReloads(t)
	conn, err := net.Dial("tcp", addr.String())
	must(t, err)
	defer conn.Close()
	accepted, err := silent.Accept()
	must(t, err)
	defer accepted.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want that HAProxy closes the connection", err)
	}
}

// TestTimeoutTunnelEndsASilentWebSocket would take an hour if another timeout applied.
func TestTimeoutTunnelEndsASilentWebSocket(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.service(t, "chat", map[string]string{"host": "chat.test", "timeout-tunnel": "1s", "timeout-server": "1h"}, newPod(t, "chat-0"))
	e.start(t)
	e.awaitAnswer(t, "chat.test", "/", "200 chat-0 /")
	conn, err := net.Dial("tcp", e.HTTP.String())
	must(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	must(t, err)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %s, want 101", resp.Status)
	}
	if got, err := reader.ReadString('\n'); !errors.Is(err, io.EOF) {
		t.Errorf("got %q, %v, want that HAProxy closes the connection", got, err)
	}
}
