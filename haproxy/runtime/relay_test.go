// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"podgate/haproxy"
)

// newEcho returns a server that answers with its name, the path and X-Forwarded-For of
// the request.
func newEcho(t *testing.T, name string) (haproxy.Server, *httptest.Server) {
	t.Helper()
	pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", name, r.URL.Path, strings.Join(r.Header.Values("X-Forwarded-For"), ","))
	}))
	t.Cleanup(pod.Close)
	return haproxy.Server{Addr: pod.Listener.Addr().(*net.TCPAddr).AddrPort(), State: haproxy.Ready}, pod
}

// keptClient sends requests on one connection and reports whether it was reused.
type keptClient struct {
	http.Client
	frontend netip.AddrPort
}

func newKeptClient(t *testing.T, frontend netip.AddrPort) *keptClient {
	t.Helper()
	c := &keptClient{http.Client{Transport: &http.Transport{}}, frontend}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func (c *keptClient) get(t *testing.T, path string) (answer string, reused bool) {
	t.Helper()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.frontend.String()+path, nil)
	must(t, err)
	req.Header.Set("X-Forwarded-For", "192.0.2.7")
	resp, err := c.Do(req)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return fmt.Sprintf("%d %s", resp.StatusCode, body), reused
}

// TestIdleClientOverAReload sends a request before a reload and another one after it,
// on the connection of the old worker.
func TestIdleClientOverAReload(t *testing.T) {
	const by = "127.0.0.1" // and not the X-Forwarded-For of the client
	addShop2 := func(s *haproxy.State, next haproxy.Server) {
		second := new(*s.Backends.At(0))
		second.Name, second.Servers = "shop2", []haproxy.Server{next}
		s.Backends = haproxy.ListOf(s.Backends.At(0), second)
	}
	for _, row := range []struct {
		name   string
		change func(s *haproxy.State, next haproxy.Server)
		path   string
		want   string
	}{
		{
			"gets the answer of a new server",
			func(s *haproxy.State, next haproxy.Server) { s.Backends.At(0).Servers = []haproxy.Server{next} },
			"/cart/x", "200 new /x " + by,
		},
		{
			"follows a route to another backend",
			func(s *haproxy.State, next haproxy.Server) {
				addShop2(s, next)
				s.Routes[1].Backend = "shop2"
			},
			"/cart/x", "200 new /x " + by,
		},
		{
			"follows a new route",
			func(s *haproxy.State, next haproxy.Server) {
				addShop2(s, next)
				s.Routes = append(s.Routes, haproxy.Route{Path: "/new", Backend: "shop2"})
			},
			"/new/x", "200 new /new/x " + by,
		},
		{
			"gets 404 for a removed route",
			func(s *haproxy.State, _ haproxy.Server) { s.Routes = s.Routes[:1] },
			"/cart/x", "404 404 no Service is reached by this host and path\n",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBox(t)
			first, oldPod := newEcho(t, "old")
			next, _ := newEcho(t, "new")
			s := b.shop(t, nil, first)
			s.Frontends[0].Relay = b.freeAddr(t)
			s.Routes = []haproxy.Route{{Host: "other.test", Backend: "shop"}, {Path: "/cart", Backend: "shop", Rewrite: "/"}}
			b.load(t, s)
			client := newKeptClient(t, s.Frontends[0].Binds[0])
			if got, _ := client.get(t, "/cart/x"); got != "200 old /x "+by {
				t.Fatalf("before: %q", got)
			}

			b.load(t, s)
			want := s
			want.Routes = slices.Clone(s.Routes)
			row.change(&want, next)
			plan := haproxy.Diff(b.observe(t, s), want)
			if len(plan.Reload) > 0 {
				b.load(t, want)
			} else {
				b.apply(t, plan)
			}
			oldPod.Close()
			got, reused := client.get(t, row.path)
			if got != row.want || !reused {
				t.Errorf("after: %q, by the same connection %v, want %q", got, reused, row.want)
			}
			if _, reused := client.get(t, "/new"); reused {
				t.Error("the old worker keeps the connection after its last response")
			}
		})
	}
}

func TestOldWorkersRelayBodiesOfManyClients(t *testing.T) {
	pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	}))
	t.Cleanup(pod.Close)
	b := newBox(t)
	s := b.shop(t, nil, haproxy.Server{Addr: pod.Listener.Addr().(*net.TCPAddr).AddrPort(), State: haproxy.Ready})
	s.Frontends[0].Relay = b.freeAddr(t)
	b.load(t, s)
	var clients []*keptClient
	for range 50 {
		c := newKeptClient(t, s.Frontends[0].Binds[0])
		c.get(t, "/")
		clients = append(clients, c)
	}
	b.load(t, s)
	b.load(t, s)
	const size = 1 << 20
	for _, c := range clients {
		resp, err := c.Post("http://"+c.frontend.String()+"/", "text/plain", strings.NewReader(strings.Repeat("x", size)))
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprint(size, nil); err != nil || resp.StatusCode != http.StatusOK || string(body) != want {
			t.Errorf("%s %q, %v, want 200 and %q", resp.Status, body, err, want)
		}
	}
}

func TestRelaySecret(t *testing.T) {
	b := newBox(t)
	first, _ := newEcho(t, "only")
	s := b.shop(t, nil, first)
	for _, want := range []string{"", strings.Repeat("A", 26), strings.Repeat("B", 26)} {
		if want != "" {
			s.Frontends[0].Relay, s.Settings.RelaySecret = b.freeAddr(t), want
		}
		b.load(t, s)
		if got, err := b.RelaySecret(t.Context()); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}
