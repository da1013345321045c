// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"podgate/daemon/config"
)

// TestStrangersDoNotHoldThePage opens many connections to the status page and to the
// control socket and leaves them: without a request, with half of one, and without reading
// the answer. All but a few are closed, and an operator is answered.
func TestStrangersDoNotHoldThePage(t *testing.T) {
	free, err := net.Listen("tcp", "127.88.0.1:0") // no outgoing connection gets a port of this address in between
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().(*net.TCPAddr).AddrPort()
	free.Close()
	c := config.Admin{Listen: []netip.AddrPort{addr}, Socket: filepath.Join(t.TempDir(), "podgate.sock")}
	s := New(c, slog.New(slog.DiscardHandler))
	s.Publish(newView(t, 1000, 2))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	for _, listener := range []struct{ network, address string }{{"tcp", addr.String()}, {"unix", c.Socket}} {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, listener.network, listener.address)
			},
		}}
		asks := func() error {
			resp, err := client.Get("http://localhost/api/v1/status?services=0")
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		}
		deadline := time.Now().Add(20 * time.Second)
		for asks() != nil { // until it listens
			if time.Now().After(deadline) {
				t.Fatal("no answer at the start")
			}
			time.Sleep(time.Millisecond)
		}
		for _, sent := range []string{"", "GET / HTTP/1.1\r\nHost: loc", "GET /api/v1/services HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
			t.Run(fmt.Sprintf("%s after %q", listener.network, sent), func(t *testing.T) {
				var strangers []net.Conn
				defer func() {
					for _, conn := range strangers {
						conn.Close()
					}
				}()
				for range 10 * mostConnections {
					conn, err := net.Dial(listener.network, listener.address)
					if err != nil {
						t.Fatal(err)
					}
					strangers = append(strangers, conn)
					_, _ = io.WriteString(conn, sent) // it may be closed already
				}
				if err := asks(); err != nil {
					t.Errorf("an operator gets %v", err)
				}
				if n := s.open.Load(); n > 2*mostConnections {
					t.Errorf("%d connections are open", n)
				}
			})
		}
	}
}
