// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"podgate/daemon/drain"
	"podgate/haproxy/haproxytest"
)

// startBalancer runs a load balancer, a HAProxy that sends PROXY v2 headers to the edges and
// checks their health, and returns it with its address.
func startBalancer(t *testing.T, edges ...*checked) (lb *haproxytest.HAProxy, addr netip.AddrPort) {
	t.Helper()
	lb = haproxytest.Run(t, haproxytest.Options{})
	addr, err := lb.FreeAddr()
	must(t, err)
	text := fmt.Sprintf(`
frontend clients
  bind %s
  mode tcp
  default_backend edges
backend edges
  mode tcp
  option httpchk GET /healthz
`, addr)
	for i, e := range edges {
		text += fmt.Sprintf("  server edge%d %s send-proxy-v2 check inter 100ms fall 2 rise 1 port %d\n", i+1, e.HTTP, e.plain.Port())
	}
	must(t, lb.Write(map[string][]byte{"lb.cfg": []byte(text)}))
	must(t, lb.Restart(t.Context()))
	return lb, addr
}

// awaitTaken waits until a load balancer sends requests to an edge.
func awaitTaken(t *testing.T, lb *haproxytest.HAProxy, edge string) {
	t.Helper()
	row := regexp.MustCompile(`(?m)^\d+ edges \d+ ` + edge + ` \S+ 2 `) // srv_op_state 2 is running
	awaitThat(t, "the load balancer takes "+edge, func() bool { return row.MatchString(ask(t, lb.Admin, "show servers state edges")) })
}

// TestTwoEdgesBehindALoadBalancer drains and restarts an edge node while clients send
// requests.
func TestTwoEdgesBehindALoadBalancer(t *testing.T) {
	t.Parallel()
	one := &checked{edge: newEdge(t)}
	two := &checked{edge: newEdgeIn(t, one.Cluster, haproxytest.Options{Name: "edge2"})}
	for _, e := range []*checked{one, two} {
		// The load balancer checks the health at the address of the edge.
		health := e.freeAddr(t)
		e.plain = netip.AddrPortFrom(e.HTTP.Addr(), health.Port())
		e.proxy = e.freeAddr(t)
		e.configure(t, fmt.Sprintf(`[cloud]
proxy = ["http"]
trusted_sources = ["127.0.0.1/32"]
health_bind = [%q]
health_proxy_bind = [%q]
drain_wait = "1s"
drain_timeout = "20s"
`, e.plain, e.proxy))
	}
	one.service(t, "cart", map[string]string{"cookie-sticky-session": "true"}, newPod(t, "cart-0"), newPod(t, "cart-1"), newPod(t, "cart-2"))
	one.service(t, "witness", map[string]string{"check": "false", "send-proxy": "v2"}, newReportingPod(t))
	one.start(t)
	two.start(t)
	one.awaitHealth(t, "200")
	two.awaitHealth(t, "200")
	balancer, lb := startBalancer(t, one, two)
	eventually(t, "the load balancer serves both Services", func() error {
		for _, path := range []string{"/cart/", "/cart/", "/witness/"} {
			if _, err := from(localhost, lb, "", path); err != nil {
				return err
			}
		}
		return nil
	})

	// The pod gets the client's address, and not the client's X-Forwarded-For.
	got, err := from("127.96.7.7", lb, "", "/witness/", "X-Forwarded-For: 6.6.6.6")
	if want := fmt.Sprintf("200 X-Forwarded-For=127.96.7.7 X-Forwarded-Port=%d X-Forwarded-Proto=http v2=127.96.7.7", lb.Port()); got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if got, err := from("127.96.7.7", one.HTTP, proxied, "/witness/"); !strings.HasPrefix(got, "400 ") {
		t.Errorf("a PROXY line from an unlisted source: got %q, %v", got, err)
	}

	// A cookie of edge one selects the same pod through edge two.
	cookie, pod := setCookie(t, one.edge, "/cart/", "127.96.7.7")
	for range 10 {
		if got, err := from("127.96.7.7", two.HTTP, "", "/cart/", "Cookie: "+cookie); got != pod {
			t.Errorf("through edge two: got %q, %v, want %s", got, err, pod)
		}
	}

	l := startLoadAt(t, lb, "/cart/a", "/cart/b")
	out, err := one.tryDrain(t, drain.Options{Wait: true, UntilBoot: true})
	if err != nil || !strings.HasSuffix(out, "drained: no sessions are left\n") {
		t.Errorf("drain: %q, %v", out, err)
	}
	// The units stop in this order.
	one.stop(t)
	one.restartHAProxy(t) // it is down for a moment, as during a reboot
	one.start(t)
	one.awaitHealth(t, "503")
	one.undrain(t, drain.End)
	one.awaitHealth(t, "200")
	awaitTaken(t, balancer, "edge1") // as an operator does before the next node
	out, err = two.tryDrain(t, drain.Options{Wait: true})
	if err != nil || !strings.HasSuffix(out, "drained: no sessions are left\n") {
		t.Errorf("drain of edge two: %q, %v", out, err)
	}
	l.check(t)
}

// setCookie requests a path from the client address ip, and returns the cookie and the
// body of the answer.
func setCookie(t *testing.T, e *edge, path, ip string) (cookie, answer string) {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	resp, err := client.Get("http://" + e.HTTP.String() + path)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || len(resp.Cookies()) != 1 {
		t.Fatalf("cookies %v, %s, %v", resp.Cookies(), text, err)
	}
	return resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value, fmt.Sprint(resp.StatusCode, " ", strings.TrimSpace(string(text)))
}
