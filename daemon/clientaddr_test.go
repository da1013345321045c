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

	"podgate/daemon/edgetest"
)

// newWitness is a pod that answers with what it learns of its client: the PROXY
// header in front of the connection, and the headers that a proxy may write.
func newWitness(t *testing.T) *edgetest.Pod {
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
			running.Go(func() { testify(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return &edgetest.Pod{Addr: netip.MustParseAddrPort(listener.Addr().String()), Name: "witness"}
}

func testify(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // HAProxy's check may send nothing
	r := bufio.NewReader(conn)
	proxy, err := readProxy(r)
	if err != nil {
		return
	}
	told := []string{proxy}
	if head, _ := r.Peek(6); string(head) == "PROXY " { // what a client sent after it
		line, _ := r.ReadString('\n')
		told = append(told, "then="+strings.Join(strings.Fields(line), "_"))
	}
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	for name, values := range req.Header {
		if strings.HasPrefix(name, "X-Forwarded") || strings.HasPrefix(name, "X-Ssl-") || name == "Forwarded" || name == "X-Real-Ip" {
			told = append(told, name+"="+strings.Join(values, "|"))
		}
	}
	slices.Sort(told)
	body := strings.TrimSpace(strings.Join(told, " "))
	fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// readProxy reads a PROXY header of either version where there is one
// (proxy-protocol.txt 2.1 and 2.2) and returns the client's address.
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

// from asks addr from a loopback address, with text in front of the request.
func from(ip string, addr netip.AddrPort, text, path string, headers ...string) (string, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: 5 * time.Second}
	conn, err := d.Dial("tcp", addr.String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	request := "GET " + path + " HTTP/1.1\r\nHost: any\r\nConnection: close\r\n"
	for _, h := range headers {
		request += h + "\r\n"
	}
	return exchange(conn, text+request+"\r\n")
}

const (
	listed   = "127.98.0.7"
	unlisted = "127.97.0.7"
	proxied  = "PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n"
)

// proxiedV2 is the same in binary.
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

func TestAPROXYHeaderIsBelievedFromListedSourcesAlone(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	tcp, plain, told := e.freeAddr(t), e.freeAddr(t), e.freeAddr(t)
	e.configure(t, fmt.Sprintf(`[tcp]
addresses = [%q]
allowed_ports = [%d, %d, %d]
[cloud]
proxy = ["http", %[2]d, %[4]d]
trusted_sources = ["127.98.0.0/16"]
`, tcp.Addr(), tcp.Port(), plain.Port(), told.Port()))
	pod := newWitness(t)
	check := map[string]string{"check": "false"}
	with := func(more ...string) map[string]string {
		m := map[string]string{"check": check["check"]}
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
	e.service(t, "told-tcp", with("tcp", fmt.Sprint(told.Port()), "send-proxy", "v1"), pod)
	e.start(t)
	for addr, ip := range map[netip.AddrPort]string{e.HTTP: unlisted, tcp: "127.96.0.1", told: unlisted} {
		eventually(t, "cart answers", func() error {
			_, err := from(ip, addr, "", "/cart/")
			return err
		})
	}
	forged := []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6"}
	e.checkClients(t, e.HTTP, []clientRow{
		{"a listed source names the client", listed, proxied, "/cart/", nil, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http"},
		{"a client's own header after that is no request", listed, proxied + proxied, "/cart/", nil, "400 <html><body><h1>400 Bad request</h1>"},
		{"in version 2 too", listed, proxiedV2(), "/cart/", nil, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http"},
		{"and the client's headers are not believed", listed, proxied, "/cart/", forged, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http"},
		{"a listed source without a header is not served", listed, "", "/cart/", nil, ""},
		{"an unlisted source is its own client", unlisted, "", "/cart/", forged, "200 X-Forwarded-For=127.97.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
		{"a header of an unlisted source is no request", unlisted, proxied, "/cart/", nil, "400 <html><body><h1>400 Bad request</h1>"},
		{"in version 2 neither", unlisted, proxiedV2(), "/cart/", nil, "400 <html><body><h1>400 Bad request</h1>"},
		{"a pod is told by a line", listed, proxied, "/v1/", nil, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http v1=192.0.2.1"},
		{"a pod is told in binary", listed, proxied, "/v2/", nil, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http v2=192.0.2.1"},
		{"the guard sees the client", listed, proxied, "/guarded/", nil, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http"},
		{"and not who forges", unlisted, "", "/guarded/", forged, "403 <html><body><h1>403 Forbidden</h1>"},
		{"a listed address passes", "127.96.0.1", "", "/guarded/", nil, "200 X-Forwarded-For=127.96.0.1 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
	})
	e.checkClients(t, tcp, []clientRow{
		{"a TCP port takes a header", listed, proxied, "/", nil, "200"},
		{"and drops who is not allowed", unlisted, "", "/", nil, ""},
		{"whatever they say", unlisted, proxied, "/", nil, ""},
		{"and lets others in", "127.96.0.1", "", "/", nil, "200"},
	})
	e.checkClients(t, told, []clientRow{
		{"a TCP pod is told by the edge", listed, proxied, "/", nil, "200 v1=192.0.2.1"},
		{"a client's own header after that is data", listed, proxied + proxied, "/", nil, "200 then=PROXY_TCP4_192.0.2.1_192.0.2.2_1000_80 v1=192.0.2.1"},
		{"and so is a header of an unlisted source", unlisted, proxied, "/", nil, "200 then=PROXY_TCP4_192.0.2.1_192.0.2.2_1000_80 v1=127.97.0.7"},
	})
	e.checkClients(t, plain, []clientRow{
		{"a TCP port that expects none takes none from anybody", listed, "", "/", nil, "200 v1=127.98.0.7"},
	})

	// At the relay, only workers of ours are believed.
	if got, err := from("127.0.0.1", e.Relay, proxied, "/guarded/"); err == nil {
		t.Errorf("the relay believes anybody on the box: %q", got)
	}
	secret := strings.Repeat("A", 26)
	header := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00" + string(rune(12+3+len(secret))) + "\xc0\x00\x02\x01\xc0\x00\x02\x02\x03\xe8\x00\x50\x05\x00" + string(rune(len(secret))) + secret
	if got, err := from("127.0.0.1", e.Relay, header, "/guarded/"); err == nil {
		t.Errorf("the relay believes a wrong secret: %q", got)
	}
	// And they still are: an idle connection over a reload.
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(listed)}}).Dial("tcp", e.HTTP.String())
	must(t, err)
	defer conn.Close()
	fmt.Fprint(conn, proxied)
	if _, err := from(unlisted, e.HTTP, "", "/cart/"); err != nil { // accepted by now
		t.Fatal(err)
	}
	e.awaitReloads(t, e.reloading(t, "more", newPod(t, "more-0")))
	if got, err := exchange(conn, "GET /guarded/ HTTP/1.1\r\nHost: any\r\n\r\n"); got != "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=http" {
		t.Errorf("over a reload: got %q, %v", got, err)
	}
}

func TestAPROXYHeaderIsTrustedOnTheTLSFrontend(t *testing.T) {
	e := newTLSEdge(t, "[cloud]", `proxy = ["https"]`, `trusted_sources = ["127.98.0.0/16"]`)
	e.certify(t, "shop.pem", "shop.test")
	e.service(t, "cart", map[string]string{"check": "false", "host": "shop.test", "sslTerm": "true"}, newWitness(t))
	e.start(t)
	e.awaitCertificate(t, "shop.test", "shop.test") // from 127.0.0.1, which sends no header
	for _, row := range []struct{ ip, header, want string }{
		{listed, proxied, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=https"},
		{listed, proxiedV2(), "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=80 X-Forwarded-Proto=https"},
		{unlisted, "", fmt.Sprintf("200 X-Forwarded-For=127.97.0.7 X-Forwarded-Port=%d X-Forwarded-Proto=https", e.https.Port())},
	} {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(row.ip)}}).Dial("tcp", e.https.String())
		must(t, err)
		defer conn.Close()
		fmt.Fprint(conn, row.header)
		secure := tls.Client(conn, &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true})
		if got, err := exchange(secure, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); got != row.want {
			t.Errorf("from %s with %q: got %q, %v, want %q", row.ip, row.header, got, err, row.want)
		}
	}
}

func TestXForwardedForIsBelievedFromListedSourcesAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		hops int
		rows []clientRow
	}{
		{1, []clientRow{
			{"the last entry is the client", listed, "", "/cart/", []string{"X-Forwarded-For: 6.6.6.6, 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop"}, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Host=shop X-Forwarded-Proto=https"},
			{"over several headers", listed, "", "/cart/", []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 192.0.2.1"}, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"the guard and the pod see it", listed, "", "/guarded/", []string{"X-Forwarded-For: 6.6.6.6, 192.0.2.1"}, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=EDGE X-Forwarded-Proto=http v2=192.0.2.1"},
			{"the guard refuses others", listed, "", "/guarded/", []string{"X-Forwarded-For: 192.0.2.1, 6.6.6.6"}, "403 <html><body><h1>403 Forbidden</h1>"},
			{"an unlisted source is its own client", unlisted, "", "/cart/", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"}, "200 X-Forwarded-For=127.97.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
			{"the guard does not believe it", unlisted, "", "/guarded/", []string{"X-Forwarded-For: 192.0.2.1"}, "403 <html><body><h1>403 Forbidden</h1>"},
			{"without an entry the load balancer is the client", listed, "", "/cart/", nil, "200 X-Forwarded-For=127.98.0.7 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
		}},
		{2, []clientRow{
			{"the last but one is the client", listed, "", "/cart/", []string{"X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1"}, "200 X-Forwarded-For=192.0.2.1 X-Forwarded-Port=EDGE X-Forwarded-Proto=http"},
		}},
	} {
		e := newEdge(t)
		e.configure(t, fmt.Sprintf("[cloud]\ntrusted_sources = [\"127.98.0.0/16\"]\nforwarded_hops = %d\n", row.hops))
		pod := newWitness(t)
		e.service(t, "cart", map[string]string{"check": "false"}, pod)
		e.service(t, "guarded", map[string]string{"check": "false", "allow-source": "192.0.2.0/24", "send-proxy": "v2"}, pod)
		e.start(t)
		eventually(t, "cart answers", func() error { _, err := from(unlisted, e.HTTP, "", "/cart/"); return err })
		e.checkClients(t, e.HTTP, row.rows)
		e.stop(t)
	}
}
