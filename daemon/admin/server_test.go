// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

func get(s *Server, method, target, host string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	s.checkHost(s.routes()).ServeHTTP(w, r)
	return w
}

var everyPath = []string{
	"/", "/history", "/explain", "/explain?of=shop/svc-00000", "/metrics", "/livez", "/style.css", "/refresh.js", "/icon.svg",
	"/api/v1/status", "/api/v1/services", "/api/v1/history", "/api/v1/explain?of=shop/svc-00000", "/api/v1/progress",
}

func TestRequestsCannotChangeAnything(t *testing.T) {
	s := newServer(newView(t, 2, 1))
	for _, path := range everyPath {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
			if w := get(s, method, path, "127.0.0.1"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
		for _, method := range []string{"GET", "HEAD"} {
			w := get(s, method, path, "127.0.0.1")
			if w.Code != http.StatusOK {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") {
				t.Errorf("%s %s: Content-Security-Policy %q", method, path, csp)
			}
		}
	}
}

func TestOnlyHostNamesOfThisMachineAreAccepted(t *testing.T) {
	s := newServer(newView(t, 1, 1), "edge.example.com")
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"127.0.0.1:9180": 200, "[::1]:9180": 200, "localhost:9180": 200, "10.0.0.7": 200, "Edge.Example.com:80": 200, hostname: 200,
		"evil.example.com": 421, "127.0.0.1.evil.example.com": 421, "localhost.evil.com:9180": 421,
	} {
		if w := get(s, "GET", "/api/v1/status", host); w.Code != want {
			t.Errorf("Host %s: %d, want %d", host, w.Code, want)
		}
	}
}

func TestReadyAndAlive(t *testing.T) {
	v := newView(t, 1, 1)
	s := newServer(nil)
	probe := func(path string) int { return get(s, "GET", path, "127.0.0.1").Code }
	if probe("/livez") != 200 || probe("/readyz") != 503 {
		t.Error("want live and not ready before the first pass")
	}
	s.Publish(v)
	if probe("/livez") != 200 || probe("/readyz") != 200 {
		t.Error("want live and ready in sync")
	}
	down := *v
	down.Edge.Process, down.At = runtime.Process{}, time.Now().Add(-time.Hour)
	s.Publish(&down)
	if probe("/livez") != 503 || probe("/readyz") != 503 {
		t.Error("want not live if the loop hangs, and not ready without HAProxy")
	}
}

// TestHostileTextStaysText has a cluster with markup and escapes in its names.
func TestHostileTextStaysText(t *testing.T) {
	v := newView(t, 1, 1)
	evil := `</pre><script>alert(1)</script>` + "\x1b[2J"
	v.Problems = []Problem{{Problem: compile.Problem{Kind: compile.Invalid, Service: kubeapi.Key{Namespace: "shop", Name: "<b>x"}, Text: evil}}}
	v.Result.State.Backends.At(0).Name = "<img>"
	v.Edge.Trouble = evil
	s := newServer(v)
	for _, path := range []string{"/?q=%22%3E%3Cscript%3E", "/explain?of=%3Cscript%3E", "/history?refresh=%3Cscript%3E"} {
		body := get(s, "GET", path, "127.0.0.1").Body.String()
		if strings.Contains(body, "<script>") || strings.Contains(body, "<b>x") || strings.Contains(body, `"><`+"script") {
			t.Errorf("%s: markup from the cluster in\n%s", path, body)
		}
	}
	var text strings.Builder
	newStatus(v, time.Now()).Print(&text, Style{})
	if strings.Contains(text.String(), "\x1b") {
		t.Errorf("an escape from the cluster in %q", text.String())
	}
}

func TestServicesAreSearchedSortedAndPaged(t *testing.T) {
	v := newView(t, 250, 2)
	v.Health.Up["shop_svc-00042_80"] = 0
	v.Health.Up["shop_svc-00043_80"] = 1
	s := newServer(v)
	list := func(query string) Listing {
		var l Listing
		if err := json.Unmarshal(get(s, "GET", "/api/v1/services?"+query, "127.0.0.1").Body.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	for _, row := range []struct {
		query         string
		matches, here int
		first         string
	}{
		{"", 250, 250, "shop/svc-00042"},
		{"limit=10&from=2", 250, 10, "shop/svc-00000"},
		{"sort=service&limit=1", 250, 1, "shop/svc-00000"},
		{"sort=-service&limit=1", 250, 1, "shop/svc-00249"},
		{"q=SVC-0001", 10, 10, "shop/svc-00010"},
		{"q=svc-00017.example.com", 1, 1, "shop/svc-00017"},
		{"state=down", 1, 1, "shop/svc-00042"},
		{"state=degraded", 1, 1, "shop/svc-00043"},
		{"from=1000", 250, 0, ""},
		{"q=none", 0, 0, ""},
		{"sort=nonsense&limit=-4&from=x", 250, 250, "shop/svc-00000"},
	} {
		l := list(row.query)
		first := ""
		if len(l.Services) > 0 {
			first = l.Services[0].Service
		}
		if l.Total != 250 || l.Matches != row.matches || len(l.Services) != row.here || first != row.first {
			t.Errorf("%q: %d matches, %d here, first %q, want %d, %d, %q", row.query, l.Matches, len(l.Services), first, row.matches, row.here, row.first)
		}
	}
	page := get(s, "GET", "/", "127.0.0.1").Body.String()
	if n := strings.Count(page, `<th scope="row">`); n != pageServices || !strings.Contains(page, `href="/?from=100"`) {
		t.Errorf("the page has %d Services and no link to the others", n)
	}
	if page := get(s, "GET", "/?from=200&sort=service", "127.0.0.1").Body.String(); strings.Count(page, `<th scope="row">`) != 50 || strings.Contains(page, "rel=\"next\"") {
		t.Error("the last page is not the last")
	}
}

func TestTheServerContinuesWithoutAnAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	var log strings.Builder
	c := config.Admin{
		Listen: []netip.AddrPort{taken.Addr().(*net.TCPAddr).AddrPort()},
		Socket: filepath.Join(dir, "run", "podgate.sock"), History: filepath.Join(dir, "none", "history.json"),
	}
	s := New(c, slog.New(slog.NewTextHandler(&log, nil)))
	s.Publish(newView(t, 1, 1))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(ctx) }()
	client := NewClient(c.Socket)
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := client.Status(t.Context(), 0); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if info, err := os.Stat(c.Socket); err != nil || info.Mode().Perm() != 0o660 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	if _, err := listenUnix(c.Socket); err == nil || !strings.Contains(err.Error(), "is another podgate running?") {
		t.Errorf("a second server can listen on the socket: %v", err)
	}
	cancel()
	<-done
	if !strings.Contains(log.String(), "status page and metrics are not served") {
		t.Errorf("the address is not logged: %s", log.String())
	}
	if err := s.SaveHistory(); err == nil {
		t.Error("writing the history succeeds in a folder that does not exist")
	}
	// The socket of a killed podgate.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.Socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	l, err := listenUnix(c.Socket)
	if err != nil {
		t.Fatalf("the socket of a killed podgate: %v", err)
	}
	l.Close()
}

func TestTheClientExplainsAMissingSocket(t *testing.T) {
	_, err := NewClient("/nonexistent/podgate.sock").Status(t.Context(), 0)
	want := "ask podgate: dial unix /nonexistent/podgate.sock: connect: no such file or directory (is podgate running? systemctl status podgate)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
