// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve runs a server with this handler in place of an edge, and returns Service cart as
// its clients reach it.
func serve(t *testing.T, handler http.HandlerFunc) Target {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	addr := netip.MustParseAddrPort(s.Listener.Addr().String())
	return Target{Service: "cart", Request: Request{Addr: addr, Path: "/cart/"}, Strip: "/cart"}
}

// good answers as HAProxy with a pod of cart does.
func good(w http.ResponseWriter, r *http.Request) {
	r.URL.Path = strings.TrimPrefix(r.URL.Path, "/cart")
	answer(w, r, "cart-0", "cart", "ok\n")
}

func TestWhichRequestsFail(t *testing.T) {
	for _, row := range []struct {
		name    string
		handler http.HandlerFunc
		query   query
		want    string // in the error; "" for none
	}{
		{"a pod of the Service answers", good, query{}, ""},
		{"a pod answers a POST with a large body", good, query{post: 2000, size: 200_000}, ""},
		{"a pod of another Service answers", func(w http.ResponseWriter, r *http.Request) { answer(w, r, "stock-0", "stock", "ok\n") }, query{}, `answered by Service "stock"`},
		{"HAProxy answers", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, query{}, "status 503"},
		{"the connection is closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, query{}, "EOF"},
		{"the answer is cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "short")
			panic(http.ErrAbortHandler)
		}, query{}, "unexpected EOF"},
		{"the path was not stripped", func(w http.ResponseWriter, r *http.Request) { answer(w, r, "cart-0", "cart", "ok\n") }, query{}, `the pod received the path "/cart/" instead of "/"`},
		{"the body did not arrive", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			good(w, r)
		}, query{post: 2000}, "the pod received 0 of 2000 bytes"},
		{"the answer is too small", func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = "size=10"
			good(w, r)
		}, query{size: 200_000}, "the answer has 10 of 200000 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := &caller{Client: Client{KeepAlive: true}}
			defer c.Close()
			err := c.ask(&target{Target: serve(t, row.handler)}, row.query)
			switch {
			case err == nil && row.want != "":
				t.Errorf("no error, want %q", row.want)
			case err != nil && (row.want == "" || !strings.Contains(err.Error(), row.want)):
				t.Errorf("error %q, want %q", err, row.want)
			}
		})
	}
}

func TestAClientDoesNotRepeatARequest(t *testing.T) {
	var asked atomic.Int64
	on := &target{Target: serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 2 {
			panic(http.ErrAbortHandler) // as if the connection had been closed just then
		}
		good(w, r)
	})}
	c := &caller{Client: Client{KeepAlive: true}}
	defer c.Close()
	must(t, c.ask(on, query{}))
	if err := c.ask(on, query{}); err == nil {
		t.Error("the second request did not fail")
	}
	if err := c.ask(on, query{}); err != nil {
		t.Errorf("the third request, on a new connection: %v", err)
	}
}

func TestAClientUsesNoConnectionThatIsOlderThanTheService(t *testing.T) {
	var from []string
	old := serve(t, func(w http.ResponseWriter, r *http.Request) {
		from = append(from, r.RemoteAddr)
		good(w, r)
	})
	c := &caller{Client: Client{KeepAlive: true}}
	defer c.Close()
	for _, on := range []*target{{Target: old}, {Target: old}, {Target: old, since: time.Now().Add(time.Minute)}} {
		must(t, c.ask(on, query{}))
	}
	if from[0] != from[1] {
		t.Error("the second request had another connection")
	}
	if from[1] == from[2] {
		t.Error("the request to the new Service used the old connection")
	}
}

func TestAClientStaysWithThePodOfItsCookie(t *testing.T) {
	var cookies []string
	pod := "cart-0"
	on := serve(t, func(w http.ResponseWriter, r *http.Request) {
		cookies = append(cookies, r.Header.Get("Cookie"))
		http.SetCookie(w, &http.Cookie{Name: "SERVERID", Value: pod})
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/cart")
		answer(w, r, pod, "cart", "ok\n")
	})
	var stays bool
	on.Stays = func(string) bool { return stays }
	c := &caller{Client: Client{KeepAlive: true}}
	defer c.Close()
	for _, row := range []struct {
		pod   string
		stays bool
		want  string
	}{
		{"cart-0", true, ""}, {"cart-1", false, ""}, {"cart-2", true, "answered by pod cart-2, but the cookie's pod cart-1 stays"},
	} {
		pod, stays = row.pod, row.stays
		if err := c.ask(&target{Target: on}, query{}); row.want == "" && err != nil || row.want != "" && (err == nil || err.Error() != row.want) {
			t.Errorf("from %s: %v, want %s", row.pod, err, row.want)
		}
	}
	if got := strings.Join(cookies, " "); got != " SERVERID=cart-0 SERVERID=cart-1" {
		t.Errorf("cookies %q", got)
	}
}

func TestALoadCountsEveryRequest(t *testing.T) {
	var broken atomic.Bool
	on := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		good(w, r)
	})
	failed := make(chan Failure, 1000)
	l := StartLoad(LoadOptions{Clients: 2, Idle: 1, Think: time.Millisecond, Failed: func(f Failure) { failed <- f }})
	defer l.Stop()
	remove, err := l.Add(t.Context(), on)
	must(t, err)
	await := func(what string, ok func(Report) bool) {
		t.Helper()
		if err := Await(t.Context(), what, func() error {
			if r := l.Report(); !ok(r) {
				return errors.New(r.String())
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	await("twenty answers", func(r Report) bool { return r.Sent >= 20 && r.Failed == 0 && r.Longest > 0 })
	err = l.Outage(func() error {
		broken.Store(true)
		await("excused failures", func(r Report) bool { return r.Excused > 0 && r.Failed == 0 })
		broken.Store(false)
		return errors.New("its error")
	})
	if err == nil || err.Error() != "its error" {
		t.Errorf("Outage returns %v", err)
	}
	broken.Store(true)
	await("failures", func(r Report) bool { return r.Failed > keptFailures })
	remove()
	r := l.Report()
	if later := l.Stop(); later.Sent != r.Sent {
		t.Errorf("%d requests after the target was removed", later.Sent-r.Sent)
	}
	if f := <-failed; f.Err != StatusError(http.StatusBadGateway) || !strings.HasPrefix(f.Request.Path, "/cart/?id=") || len(r.Failures) != keptFailures {
		t.Errorf("%s; %d failures in the report", f, len(r.Failures))
	}
}

func TestTheErrorOfAReport(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	request := Request{Addr: netip.MustParseAddrPort("127.0.0.1:80"), Host: "shop.example.com", Path: "/"}
	for _, row := range []struct {
		name   string
		report Report
		want   string
	}{
		{"every request was answered", Report{Sent: 10}, ""},
		{"one failed in an outage", Report{Sent: 10, Excused: 1}, ""},
		{"one failed", Report{Sent: 10, Failed: 1, Failures: []Failure{{at, time.Second, request, StatusError(502)}}},
			"1 of 10 requests failed, the first: 03:04:05.000 GET http://shop.example.com/, after 1s: status 502"},
		{"none was sent", Report{}, "no request was sent"},
	} {
		got := ""
		if err := row.report.Err(); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}
