// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"net/http"
	"net/netip"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

// TestHealthChecksNameTheirHost serves pods that answer a health check only if it is
// HTTP/1.1 or newer and has a Host, which HTTP/1.1 requires (RFC 9112 section 3.2):
// Envoy answers HTTP/1.0 with 426, other servers answer a missing Host with 400.
func TestHealthChecksNameTheirHost(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "all.pem", "*.test")
	checks := map[string]chan string{}
	for _, row := range []struct {
		name, protocol string
		addr           netip.Addr
	}{
		{name: "plain", protocol: "http"},
		{name: "six", protocol: "http", addr: netip.IPv6Loopback()},
		{name: "https", protocol: "https"},
		{name: "h2", protocol: "h2"},
		{name: "h2c", protocol: "h2c"},
	} {
		results := make(chan string, 4) // more than it takes to mark a server as down
		checks[row.name] = results
		o := edgetest.PodOptions{Name: row.name, Addr: row.addr}
		if row.protocol == "https" || row.protocol == "h2" {
			o.Certificate = haproxytest.Certificate(t, row.name)
		}
		o.Configure = func(server *http.Server) {
			speak(server, row.protocol)
			pod := server.Handler
			server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/healthz" {
					pod.ServeHTTP(w, r)
					return
				}
				addr := r.Context().Value(http.LocalAddrContextKey).(interface{ String() string }).String()
				if !r.ProtoAtLeast(1, 1) || r.Host != addr {
					w.WriteHeader(http.StatusBadRequest)
				}
				select {
				case results <- r.Proto + " to " + r.Host:
				default:
				}
			})
		}
		e.service(t, row.name, map[string]string{
			"host": row.name + ".test", "sslTerm": "true", "backend-protocol": row.protocol, "check-path": "/healthz", "check-interval": "100ms",
		}, newPodOf(t, o))
	}
	e.start(t)
	for name, results := range checks {
		for range cap(results) {
			t.Logf("%s: checked by %s", name, receive(t, results))
		}
	}
	for name := range checks {
		e.awaitTLSAnswer(t, name+".test", "/", "200 "+name+" /")
	}
}
