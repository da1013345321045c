// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/edgetest"
)

// newReportingPod is a pod that answers with what it knows about its client: the PROXY
// header before the request, and the request headers that a proxy may write.
func newReportingPod(t *testing.T) *edgetest.Pod {
	t.Helper()
	return newRawPod(t, reportClient)
}

// newRawPod is a pod that serves each connection with a function, which closes it.
func newRawPod(t *testing.T, serve func(net.Conn)) *edgetest.Pod {
	t.Helper()
	listener, err := edgetest.ListenAsPod(0)
	must(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return &edgetest.Pod{Addr: netip.MustParseAddrPort(listener.Addr().String()), Name: "witness"}
}

func reportClient(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // HAProxy's check may send nothing
	r := bufio.NewReader(conn)
	proxy, err := readProxy(r)
	if err != nil {
		return
	}
	known := []string{proxy}
	if head, _ := r.Peek(6); string(head) == "PROXY " { // what a client sent after it
		line, _ := r.ReadString('\n')
		known = append(known, "then="+strings.Join(strings.Fields(line), "_"))
	}
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	for name, values := range req.Header {
		if strings.HasPrefix(name, "X-Forwarded") || strings.HasPrefix(name, "X-Ssl-") || name == "Forwarded" || name == "X-Real-Ip" {
			known = append(known, name+"="+strings.Join(values, "|"))
		}
	}
	slices.Sort(known)
	body := strings.TrimSpace(strings.Join(known, " "))
	fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// readProxy reads a PROXY header of either version, if there is one (proxy-protocol.txt
// 2.1 and 2.2), and returns the client's address.
func readProxy(r *bufio.Reader) (string, error) {
	head, err := r.Peek(12)
	if err != nil {
		return "", err
	}
	switch {
	case strings.HasPrefix(string(head), "PROXY "):
		line, err := r.ReadString('\n')
		words := strings.Fields(line)
		if err != nil || len(words) != 6 {
			return "", errors.Join(fmt.Errorf("PROXY line %q", line), err)
		}
		return "v1=" + words[2], nil
	case string(head) == "\r\n\r\n\x00\r\nQUIT\n":
		fixed := make([]byte, 16)
		if _, err := io.ReadFull(r, fixed); err != nil {
			return "", err
		}
		rest := make([]byte, binary.BigEndian.Uint16(fixed[14:]))
		if _, err := io.ReadFull(r, rest); err != nil {
			return "", err
		}
		if len(rest) < 12 {
			return "v2=local", nil
		}
		return "v2=" + netip.AddrFrom4([4]byte(rest[:4])).String(), nil
	}
	return "", nil
}

// from sends a request from a loopback address, with text before it.
func from(ip string, addr netip.AddrPort, text, path string, headers ...string) (string, error) {
	request := "GET " + path + " HTTP/1.1\r\nHost: any\r\nConnection: close\r\n"
	for _, h := range headers {
		request += h + "\r\n"
	}
	return exchangeFrom(ip, addr, text+request+"\r\n")
}

const (
	listed   = "127.98.0.7"
	unlisted = "127.97.0.7"
	proxied  = "PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n"
)

// proxiedV2 is proxied in version 2.
func proxiedV2() string {
	return "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x03\xe8\x00\x50"
}

type clientRow struct {
	name, ip, proxy, path string
	headers               []string
	want                  string // "" for no answer
}

func (e *edge) checkClients(t *testing.T, addr netip.AddrPort, rows []clientRow) {
	for _, row := range rows {
		got, err := from(row.ip, addr, row.proxy, row.path, row.headers...)
		if row.want == "" {
			if err == nil {
				t.Errorf("%s: got %q, want no answer", row.name, got)
			}
			continue
		}
		want := strings.ReplaceAll(row.want, "=EDGE", fmt.Sprintf("=%d", addr.Port()))
		if first, _, _ := strings.Cut(got, "\n"); first != want {
			t.Errorf("%s: got %q, %v, want %q", row.name, got, err, want)
		}
	}
}

func TestAPROXYHeaderIsTrustedOnlyFromListedSources(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	tcp, plain, sends := e.freeAddr(t), e.freeAddr(t), e.freeAddr(t)
	e.configure(t, fmt.Sprintf(`[tcp]
addresses = [%q]
allowed_ports = [%d, %d, %d]
[cloud]
proxy = ["http", %[2]d, %[4]d]
trusted_sources = ["127.98.0.0/16"]
`, tcp.Addr(), tcp.Port(), plain.Port(), sends.Port()))
	pod := newReportingPod(t)
	with := func(more ...string) map[string]string {
		m := map[string]string{"check": "false"}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	e.service(t, "cart", with(), pod)
	e.service(t, "v1", with("send-proxy", "true"), pod)
	e.service(t, "v2", with("send-proxy", "v2", "check", "true"), pod)
	e.service(t, "guarded", with("allow-source", "192.0.2.0/24, 127.96.0.1"), pod)
	e.service(t, "guarded-tcp", with("tcp", fmt.Sprint(tcp.Port()), "allow-source", "192.0.2.0/24,127.96.0.0/16"), pod)
	e.service(t, "plain-tcp", with("tcp", fmt.Sprint(plain.Port()), "send-proxy", "v1"), pod)
	e.service(t, "sends-tcp", with("tcp", fmt.Sprint(sends.Port()), "send-proxy", "v1"), pod)
	e.start(t)
	for addr, ip := range map[netip.AddrPort]string{e.HTTP: unlisted, tcp: "127.96.0.1", sends: unlisted} {
		eventually(t, "cart answers", func() error {
			_, err := from(ip, addr, "", "/cart/")
			return err
		})
	}
	forged := []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6"}
	e.checkClients(t, e.HTTP, []clientRow{
		{"a listed source names the client", listed, proxied, "/cart/", nil, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http"},
		{"a second header, from the client, is an invalid request", listed, proxied + proxied, "/cart/", nil, "400 <html><body><h1>400 Bad request</h1>"},
		{"also in version 2 of a listed source", listed, proxiedV2(), "/cart/", nil, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http"},
		{"the client's headers are not trusted", listed, proxied, "/cart/", forged, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http"},
		{"a listed source without a header is not served", listed, "", "/cart/", nil, ""},
		{"an unlisted source is its own client", unlisted, "", "/cart/", forged, "200 X-Forwarded-For=127.97.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
		{"a header of an unlisted source is an invalid request", unlisted, proxied, "/cart/", nil, "400 <html><body><h1>400 Bad request</h1>"},
		{"also in version 2", unlisted, proxiedV2(), "/cart/", nil, "400 <html><body><h1>400 Bad request</h1>"},
		{"a pod gets a line", listed, proxied, "/v1/", nil, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http v1=192.0.2.1"},
		{"a pod gets version 2", listed, proxied, "/v2/", nil, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http v2=192.0.2.1"},
		{"allow-source sees the client", listed, proxied, "/guarded/", nil, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http"},
		{"allow-source ignores forged headers", unlisted, "", "/guarded/", forged, "403 <html><body><h1>403 Forbidden</h1>"},
		{"a listed address passes", "127.96.0.1", "", "/guarded/", nil, "200 X-Forwarded-For=127.96.0.1 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
	})
	e.checkClients(t, tcp, []clientRow{
		{"a TCP port accepts a header", listed, proxied, "/", nil, "200"},
		{"a client that is not allowed is dropped", unlisted, "", "/", nil, ""},
		{"also with a header", unlisted, proxied, "/", nil, ""},
		{"an allowed client passes", "127.96.0.1", "", "/", nil, "200"},
	})
	e.checkClients(t, sends, []clientRow{
		{"a TCP pod gets a header from the edge", listed, proxied, "/", nil, "200 v1=192.0.2.1"},
		{"a second header, from the client, is data", listed, proxied + proxied, "/", nil, "200 then=PROXY_TCP4_192.0.2.1_192.0.2.2_1000_80 v1=192.0.2.1"},
		{"so is a header of an unlisted source", unlisted, proxied, "/", nil, "200 then=PROXY_TCP4_192.0.2.1_192.0.2.2_1000_80 v1=127.97.0.7"},
	})
	e.checkClients(t, plain, []clientRow{
		{"a TCP port that expects no header accepts none", listed, "", "/", nil, "200 v1=127.98.0.7"},
	})

	// The relay trusts only HAProxy's old workers.
	if got, err := from(localhost, e.Relay, proxied, "/guarded/"); err == nil {
		t.Errorf("the relay trusts any local program: %q", got)
	}
	secret := strings.Repeat("A", 26)
	header := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00" + string(rune(12+3+len(secret))) + "\xc0\x00\x02\x01\xc0\x00\x02\x02\x03\xe8\x00\x50\x05\x00" + string(rune(len(secret))) + secret
	if got, err := from(localhost, e.Relay, header, "/guarded/"); err == nil {
		t.Errorf("the relay trusts a wrong secret: %q", got)
	}
	// An idle connection keeps its client address over a reload.
	conn, err := dialFrom(listed, e.HTTP)
	must(t, err)
	defer conn.Close()
	fmt.Fprint(conn, proxied)
	if _, err := from(unlisted, e.HTTP, "", "/cart/"); err != nil { // accepted by now
		t.Fatal(err)
	}
	e.awaitReloads(t, e.serviceWithReload(t, "more", newPod(t, "more-0")))
	if got, err := exchange(conn, "GET /guarded/ HTTP/1.1\r\nHost: any\r\n\r\n"); got != "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http" {
		t.Errorf("over a reload: got %q, %v", got, err)
	}
}

func TestAPROXYHeaderIsTrustedOnTheTLSFrontend(t *testing.T) {
	e := newTLSEdge(t, "[cloud]", `proxy = ["https"]`, `trusted_sources = ["127.98.0.0/16"]`)
	e.certify(t, "shop.pem", "shop.test")
	e.service(t, "cart", map[string]string{"check": "false", "host": "shop.test", "sslTerm": "true"}, newReportingPod(t))
	e.start(t)
	e.awaitCertificate(t, "shop.test", "shop.test") // from 127.0.0.1, which sends no header
	for _, row := range []struct{ ip, header, want string }{
		{listed, proxied, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=https"},
		{listed, proxiedV2(), "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=https"},
		{unlisted, "", fmt.Sprintf("200 X-Forwarded-For=127.97.0.7 X-Forwarded-Port=%d X-Forwarded-Proto=https", e.https.Port())},
	} {
		conn, err := dialFrom(row.ip, e.https)
		must(t, err)
		defer conn.Close()
		fmt.Fprint(conn, row.header)
		secure := tls.Client(conn, &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true})
		if got, err := exchange(secure, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); got != row.want {
			t.Errorf("from %s with %q: got %q, %v, want %q", row.ip, row.header, got, err, row.want)
		}
	}
}

func TestXForwardedForIsTrustedOnlyFromListedSources(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		hops int
		rows []clientRow
	}{
		{1, []clientRow{
			{"the last entry is the client", listed, "", "/cart/", []string{"X-Forwarded-For: 6.6.6.6, 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop"}, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Host=shop X-Forwarded-Proto=https"},
			{"in several headers", listed, "", "/cart/", []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 192.0.2.1"}, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"allow-source and the pod use it", listed, "", "/guarded/", []string{"X-Forwarded-For: 6.6.6.6, 192.0.2.1"}, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=EDGE X-Forwarded-Proto=http v2=192.0.2.1"},
			{"allow-source rejects others", listed, "", "/guarded/", []string{"X-Forwarded-For: 192.0.2.1, 6.6.6.6"}, "403 <html><body><h1>403 Forbidden</h1>"},
			{"an unlisted source is its own client", unlisted, "", "/cart/", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"}, "200 X-Forwarded-For=127.97.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"allow-source does not trust it", unlisted, "", "/guarded/", []string{"X-Forwarded-For: 192.0.2.1"}, "403 <html><body><h1>403 Forbidden</h1>"},
			{"an IPv4 client with its port, as Azure writes it", listed, "", "/guarded/", []string{"X-Forwarded-For: 192.0.2.1:51234"}, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=EDGE X-Forwarded-Proto=http v2=192.0.2.1"},
			{"an IPv6 client", listed, "", "/cart/", []string{"X-Forwarded-For: 2001:db8::7"}, "200 X-Forwarded-For=2001:db8::7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"an IPv6 client in brackets", listed, "", "/cart/", []string{"X-Forwarded-For: [2001:db8::7]"}, "200 X-Forwarded-For=2001:db8::7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"an IPv6 client with its port", listed, "", "/cart/", []string{"X-Forwarded-For: [2001:db8::7]:443"}, "200 X-Forwarded-For=2001:db8::7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"an IPv6 client that is not allowed", listed, "", "/inside/", []string{"X-Forwarded-For: [2001:db8::7]:443"}, "403 <html><body><h1>403 Forbidden</h1>"},
			{"an unreadable client has no address", listed, "", "/cart/", []string{"X-Forwarded-For: 192.0.2.1, unknown"}, "200 X-Forwarded-For=0.0.0.0 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"an unreadable client is not allowed", listed, "", "/inside/", []string{"X-Forwarded-For: _gw1"}, "403 <html><body><h1>403 Forbidden</h1>"},
			{"an empty header names no client", listed, "", "/inside/", []string{"X-Forwarded-For:"}, "403 <html><body><h1>403 Forbidden</h1>"},
			{"the load balancer itself is allowed", listed, "", "/inside/", nil, "200 X-Forwarded-For=127.98.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"without an entry the load balancer is the client", listed, "", "/cart/", nil, "200 X-Forwarded-For=127.98.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
		}},
		{2, []clientRow{
			{"the last but one is the client", listed, "", "/cart/", []string{"X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1"}, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"too few entries name no client", listed, "", "/inside/", []string{"X-Forwarded-For: 127.98.0.9"}, "403 <html><body><h1>403 Forbidden</h1>"},
		}},
	} {
		e := newEdge(t)
		e.configure(t, fmt.Sprintf("[cloud]\ntrusted_sources = [\"127.98.0.0/16\"]\nforwarded_hops = %d\n", row.hops))
		pod := newReportingPod(t)
		e.service(t, "cart", map[string]string{"check": "false"}, pod)
		e.service(t, "guarded", map[string]string{"check": "false", "allow-source": "192.0.2.0/24", "send-proxy": "v2"}, pod)
		e.service(t, "inside", map[string]string{"check": "false", "allow-source": "127.98.0.0/16"}, pod) // the load balancer's network
		e.start(t)
		eventually(t, "cart answers", func() error { _, err := from(unlisted, e.HTTP, "", "/cart/"); return err })
		e.checkClients(t, e.HTTP, row.rows)
		e.stop(t)
	}
}

func TestServiceLoadbalancerPassesForwardedHeadersOn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		cloud string
		rows  []clientRow
	}{
		{"", []clientRow{
			{"the load balancer in front is added to its client", unlisted, "", "/cart/", []string{"X-Forwarded-For: 192.0.2.1"}, "200 X-Forwarded-For=192.0.2.1|127.97.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"without the header the source is the client", unlisted, "", "/cart/", nil, "200 X-Forwarded-For=127.97.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"other headers are those of the load balancer", unlisted, "", "/cart/", []string{"X-Forwarded-Proto: https", "X-Real-IP: 192.0.2.1", "Forwarded: for=192.0.2.1"}, "200 Forwarded=for=192.0.2.1 X-Forwarded-For=127.97.0.7 X-Forwarded-Proto=https X-Real-Ip=192.0.2.1"},
			{"a port without a protocol", unlisted, "", "/cart/", []string{"X-Forwarded-Port: 8443"}, "200 X-Forwarded-For=127.97.0.7 X-Forwarded-Port=8443 X-Forwarded-Proto=http"},
			{"headers about a client certificate are removed", unlisted, "", "/cart/", []string{"X-SSL-Client-CN: admin", "X_SSL_Client_CN: admin", "X_Forwarded_For: 6.6.6.6"}, "200 X-Forwarded-For=127.97.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"allow-source does not trust the header", unlisted, "", "/guarded/", []string{"X-Forwarded-For: 192.0.2.1"}, "403 <html><body><h1>403 Forbidden</h1>"},
		}},
		{"[cloud]\ntrusted_sources = [\"127.98.0.0/16\"]\nforwarded_hops = 1\n", []clientRow{
			{"with forwarded_hops, a listed source is trusted", listed, "", "/cart/", []string{"X-Forwarded-For: 6.6.6.6, 192.0.2.1"}, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"with forwarded_hops, an unlisted source is not trusted", unlisted, "", "/cart/", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"}, "200 X-Forwarded-For=127.97.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
		}},
	} {
		e := newEdge(t)
		e.configure(t, "[compatibility]\nservice_loadbalancer = true\n"+row.cloud)
		pod := newReportingPod(t)
		e.service(t, "cart", map[string]string{"check": "false"}, pod)
		e.service(t, "guarded", map[string]string{"check": "false", "allow-source": "192.0.2.0/24"}, pod)
		e.start(t)
		eventually(t, "cart answers", func() error { _, err := from(unlisted, e.HTTP, "", "/cart/"); return err })
		e.checkClients(t, e.HTTP, row.rows)
		e.stop(t)
	}
}

// TestOtherSpellingsOfHeadersAboutTheClient sends headers that CGI, WSGI, Rack and PHP
// give a program by the same name as those that HAProxy sets.
func TestOtherSpellingsOfHeadersAboutTheClient(t *testing.T) {
	t.Parallel()
	removed := []string{
		"X_Forwarded_For", "x-forwarded_for", "X_FORWARDED-FOR", "X_Forwarded-Proto", "X-Forwarded-Client_Cert", "X-Forwarded_", "X.Forwarded.For", "X~Forwarded~Host",
		"X_Real_IP", "X-Real_IP", "X_Real-IP", "X_SSL_Client_CN", "X-SSL_Client-DN", "X-SSL-Client_CN", "X-SSL-Client-S_DN",
	}
	passed := []string{"X_Request_Id", "X-Forwarder_Id", "X_Forwardedfor", "X_Real_IPs", "X-Real_Estate", "My-X_Forwarded_For", "X_SSL_Clients", "Forwarded_For"}
	hyphens := []string{"X-Forwarded-Host", "X-Real-IP", "X-SSL-Client-Verify", "Forwarded"}
	pod := newRawPod(t, func(conn net.Conn) {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		var names []string
		for name, values := range req.Header {
			if values[0] == "forged" {
				names = append(names, strings.ToLower(name))
			}
		}
		slices.Sort(names)
		body := strings.Join(names, " ")
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	e := newEdge(t)
	e.configure(t, "[cloud]\ntrusted_sources = [\"127.98.0.0/16\"]\nforwarded_hops = 1\n")
	e.service(t, "cart", map[string]string{"check": "false"}, pod)
	e.start(t)
	eventually(t, "cart answers", func() error { _, err := from(unlisted, e.HTTP, "", "/cart/"); return err })
	var headers []string
	for _, name := range slices.Concat(removed, passed, hyphens) {
		headers = append(headers, name+": forged")
	}
	for ip, kept := range map[string][]string{unlisted: passed, listed: slices.Concat(passed, hyphens)} {
		want := strings.Fields(strings.ToLower(strings.Join(kept, " ")))
		slices.Sort(want)
		got, err := from(ip, e.HTTP, "", "/cart/", headers...)
		if diff := cmp.Diff("200 "+strings.Join(want, " "), got); diff != "" {
			t.Errorf("from %s: %v (-want +got):\n%s", ip, err, diff)
		}
	}
}
