// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// answer is an edge of which all that is known is how it answers.
func answer(t *testing.T, handler http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func TestClientWantsTheWholeAnswerOfTheRightService(t *testing.T) {
	right := func(w http.ResponseWriter) { w.Header().Set(serviceHeader, "cart") }
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    string // in the error; "" for none
	}{
		{"the right Service answers", func(w http.ResponseWriter, _ *http.Request) { right(w) }, ""},
		{"another Service answers", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(serviceHeader, "stock") }, `answered by Service "stock"`},
		{"HAProxy answers itself", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "status 503"},
		{"nobody answers", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		{"the answer is cut short", func(w http.ResponseWriter, _ *http.Request) {
			right(w)
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "short")
			panic(http.ErrAbortHandler)
		}, "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := answer(t, tt.handler)
			c := &client{keepAlive: true}
			defer c.close()
			err := c.ask(newTarget(kind{name: "cart", path: "/cart/"}, addr))
			switch {
			case err == nil && tt.want != "":
				t.Errorf("no error, want %q", tt.want)
			case err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %q, want %q", err, tt.want)
			}
		})
	}
}

func TestClientDoesNotRepeatARequest(t *testing.T) {
	var asked atomic.Int64
	addr := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 2 {
			panic(http.ErrAbortHandler) // as if the connection had been closed just then
		}
		w.Header().Set(serviceHeader, "cart")
	})
	c := &client{keepAlive: true}
	defer c.close()
	target := newTarget(kind{name: "cart", path: "/"}, addr)
	if err := c.ask(target); err != nil {
		t.Fatal(err)
	}
	if err := c.ask(target); err == nil {
		t.Error("the second request did not fail")
	}
	if err := c.ask(target); err != nil {
		t.Errorf("the third request, on a new connection: %v", err)
	}
}

func TestClientLeavesAConnectionOlderThanTheService(t *testing.T) {
	var from []string
	addr := answer(t, func(w http.ResponseWriter, r *http.Request) {
		from = append(from, r.RemoteAddr)
		w.Header().Set(serviceHeader, strings.Trim(r.URL.Path, "/"))
	})
	c := &client{keepAlive: true}
	defer c.close()
	standing := newTarget(kind{name: "cart", path: "/cart/"}, addr)
	for range 2 {
		if err := c.ask(standing); err != nil {
			t.Fatal(err)
		}
	}
	added := newTarget(kind{name: "sale-1", path: "/sale-1/"}, addr)
	added.since = time.Now()
	if err := c.ask(added); err != nil {
		t.Fatal(err)
	}
	if from[0] != from[1] {
		t.Error("the second request had a connection of its own")
	}
	if from[1] == from[2] {
		t.Error("the Service was asked over a connection that is older")
	}
}

func TestLoadTellsAndCountsWhatFails(t *testing.T) {
	addr := answer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	out := new(strings.Builder)
	var ty tally
	l := &load{http: addr, tally: &ty, screen: newScreen(out, &ty)}
	l.targets = []*target{newTarget(kind{name: "cart", host: "shop.example.com", path: "/"}, addr)}
	c := new(client)
	defer c.close()
	l.once(c, l.pick())
	if n := ty.now(); n.requests != 1 || n.failed != 1 {
		t.Errorf("%d requests, %d failed, want 1 and 1", n.requests, n.failed)
	}
	if got, want := out.String(), "   0:00 failed: GET http://shop.example.com/: status 502\n"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}
