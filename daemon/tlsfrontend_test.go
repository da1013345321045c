// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"crypto/tls"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/haproxy"
	"podgate/haproxy/haproxytest"
)

func TestPassthroughNextToTerminatedTLS(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "edge.pem", "edge.test", "*.apps.test")
	e.service(t, "ended", map[string]string{"host": "ended.apps.test", "sslTerm": "true", "backend-protocol": "http"}, newPod(t, "ended"))
	e.start(t)
	e.awaitTLSAnswer(t, "ended.apps.test", "/x", "200 ended /x")
	ended := edgetest.Request{Addr: e.https, Host: "ended.apps.test", TLS: &tls.Config{ServerName: "ended.apps.test", InsecureSkipVerify: true}}
	ended.Path = "/a"
	l := startLoadOf(t, edgetest.Target{Service: "ended", Request: ended})
	e.service(t, "vault", map[string]string{"host": "vault.test", "passthrough": "true"}, newTLSPod(t, "vault"))
	e.service(t, "zone", map[string]string{"host": "*.apps.test", "passthrough": "true"}, newTLSPod(t, "zone"))
	e.awaitTLSAnswer(t, "vault.test", "/x", "200 vault /x")
	e.awaitTLSAnswer(t, "any.apps.test", "/x", "200 zone /x")
	for host, want := range map[string]string{
		"vault.test": "vault.pod", "any.apps.test": "zone.pod", // the pods' own certificates
		"ended.apps.test": "edge.test", "edge.test": "edge.test", "other.test": unknownName,
	} {
		e.awaitCertificate(t, host, want) // the old worker may still accept a connection before it stops
	}
	e.awaitTLSAnswer(t, "ended.apps.test", "/x", "200 ended /x")
	// Without them, TLS ends on the frontend again.
	e.Cluster.Delete("Service", "shop", "vault")
	e.Cluster.Delete("Service", "shop", "zone")
	e.awaitCertificate(t, "any.apps.test", "edge.test")
	awaitThat(t, "podgate.cfg lacks https.inner", func() bool {
		config, err := os.ReadFile(filepath.Join(e.HAProxy.Folder, "podgate.cfg"))
		return err == nil && !strings.Contains(string(config), e.inner.String())
	})
	l.check(t)
}

// TestAMisdirectedRequest sends requests as browsers do that use one connection for all
// hosts of a certificate (RFC 9113 section 9.1.1).
func TestAMisdirectedRequest(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "edge.pem", "*.test", "*.apps.test")
	e.service(t, "ended", map[string]string{"host": "ended.test, ended.apps.test", "sslTerm": "true", "backend-protocol": "http"}, newPod(t, "ended"))
	e.service(t, "any", map[string]string{"path": "/any", "sslTerm": "true", "backend-protocol": "http"}, newPod(t, "any"))
	e.service(t, "vault", map[string]string{"host": "vault.test", "passthrough": "true"}, newTLSPod(t, "vault"))
	e.start(t)
	e.awaitTLSAnswer(t, "vault.test", "/x", "200 vault /x")
	e.awaitReloads(t)
	client := e.client(func(c *tls.Config) { c.ServerName = "ended.test" })
	defer client.CloseIdleConnections()
	e.service(t, "zone", map[string]string{"host": "*.apps.test", "passthrough": "true"}, newTLSPod(t, "zone"))
	e.awaitTLSAnswer(t, "any.apps.test", "/x", "200 zone /x")
	const misdirected = "421 421 this host requires a TLS connection of its own"
	for _, row := range []struct{ host, path, want string }{
		{"ended.test", "/", "200 ended /"},
		{"Vault.Test.:443", "/", misdirected},
		{"vault.test", "/any", misdirected}, // not the route without a host
		{"one.apps.test", "/", misdirected},
		{"ended.apps.test", "/", "200 ended /"}, // the exact host is not passed through
		{"none.test", "/any", "200 any /any"},
		{"none.test", "/", "404 404 no Service is reached by this host and path"},
		{"a.b.apps.test", "/", "404 404 no Service is reached by this host and path"},
	} {
		got, err := edgetest.Fetch(t.Context(), client, row.host, "https://"+e.https.String()+row.path)
		if got != row.want {
			t.Errorf("%s%s: got %q, %v, want %q", row.host, row.path, got, err, row.want)
		}
	}
	if got, err := edgetest.Fetch(t.Context(), client, "vault.test", "http://"+e.HTTP.String()+"/"); !strings.HasPrefix(got, "404 ") {
		t.Errorf("in plain HTTP: got %q, %v", got, err)
	}
	// A connection may be older than the passthrough of its own host.
	conn, err := tls.Dial("tcp", e.https.String(), &tls.Config{ServerName: "ended.test", InsecureSkipVerify: true})
	must(t, err)
	defer conn.Close()
	e.service(t, "ended", map[string]string{"host": "ended.test", "passthrough": "true"}, newTLSPod(t, "now"))
	e.awaitCertificate(t, "ended.test", "now.pod")
	if got, err := exchange(conn, "GET / HTTP/1.1\r\nHost: ended.test\r\nConnection: close\r\n\r\n"); got != misdirected {
		t.Errorf("after the host is passed through: got %q, %v", got, err)
	}
}

func TestTLSEndsOnATCPPort(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	port := e.freeAddr(t)
	e.setHTTPS(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]", port.Addr(), port.Port()))
	e.certify(t, "amqp.pem", "amqp.test")
	e.service(t, "amqp", map[string]string{"tcp": fmt.Sprint(port.Port()), "sslTerm": "true", "backend-protocol": "https"}, newTLSPod(t, "amqp"))
	e.start(t)
	eventually(t, "an answer in TLS on the TCP port", func() error {
		conn, err := tls.Dial("tcp", port.String(), &tls.Config{ServerName: "amqp.test", InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		defer conn.Close()
		if cn := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; cn != "amqp.test" {
			return fmt.Errorf("the port presents %s", cn)
		}
		fmt.Fprint(conn, "GET /bytes HTTP/1.0\r\n\r\n")
		answer, err := io.ReadAll(conn)
		if err == nil && !strings.HasSuffix(string(answer), "amqp /bytes\n") {
			err = fmt.Errorf("got %q", answer)
		}
		return err
	})
}

func TestPlainHTTPIsRedirectedToHTTPS(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.setHTTPS(t, "redirect_port = 8443")
	e.certify(t, "shop.pem", "shop.test")
	e.service(t, "shop", map[string]string{"host": "shop.test", "path": "/a", "sslTerm": "true", "redirect-https": "true", "hsts": "31536000"}, newPod(t, "shop"))
	e.start(t)
	e.awaitTLSAnswer(t, "shop.test", "/a/x", "200 shop /a/x")
	client := e.client(func(c *tls.Config) { c.ServerName = "shop.test" })
	defer client.CloseIdleConnections()
	ask := func(url string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		must(t, err)
		req.Host = "Shop.Test:80"
		resp, err := client.Do(req)
		must(t, err)
		resp.Body.Close()
		return resp
	}
	resp := ask("http://" + e.HTTP.String() + "/a/x?q=1")
	if got, want := resp.Header.Get("Location"), "https://shop.test:8443/a/x?q=1"; resp.StatusCode != http.StatusPermanentRedirect || got != want {
		t.Errorf("got %d to %q, want 308 to %q", resp.StatusCode, got, want)
	}
	if resp := ask("http://" + e.HTTP.String() + "/b"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another path: got %d", resp.StatusCode)
	}
	resp = ask("https://" + e.https.String() + "/a/x")
	if got, want := resp.Header.Get("Strict-Transport-Security"), "max-age=31536000"; got != want || resp.ProtoMajor != 2 {
		t.Errorf("got %q by %s, want %q by HTTP/2", got, resp.Proto, want)
	}
	e.awaitReloads(t)
	e.service(t, "shop", map[string]string{"host": "shop.test", "path": "/a", "sslTerm": "true", "hsts": "0"}, e.pods["shop"]...)
	e.awaitAnswer(t, "shop.test", "/a/x", notFound)
	eventually(t, "both maps are swapped", func() error { // one is swapped before the other
		if got := ask("https://" + e.https.String() + "/a/x").Header.Get("Strict-Transport-Security"); got != "max-age=0" {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
	e.awaitReloads(t) // none
}

// TestPodsGetTheClientAddressOfTLS sends requests from another address: to a frontend that
// terminates TLS itself, and to one that passes some hosts through.
func TestPodsGetTheClientAddressOfTLS(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "client.pem", "client.test")
	e.service(t, "client", map[string]string{"host": "client.test", "sslTerm": "true", "check": "false", "send-proxy": "v2"}, newReportingPod(t))
	e.start(t)
	ask := func(addr netip.AddrPort, before string) (string, error) {
		conn, err := dialFrom(unlisted, addr)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, before); err != nil {
			return "", err
		}
		secured := tls.Client(conn, &tls.Config{ServerName: "client.test", InsecureSkipVerify: true})
		return exchange(secured, "GET / HTTP/1.1\r\nHost: client.test\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 1\r\n"+
			"X-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-SSL-Client-CN: root\r\nX-SSL-Client-DN: CN=root\r\nX-SSL-Client-Verify: 0\r\n\r\n")
	}
	want := fmt.Sprintf("200 X-Forwarded-For=%s X-Forwarded-Port=%d X-Forwarded-Proto=https v2=%[1]s", unlisted, e.https.Port())
	check := func(when string) {
		t.Helper()
		eventually(t, when, func() error {
			got, err := ask(e.https, "")
			if err == nil && got != want {
				err = fmt.Errorf("got %q, want %q", got, want)
			}
			return err
		})
	}
	check("the frontend terminates TLS")
	e.service(t, "vault", map[string]string{"host": "vault.test", "passthrough": "true"}, newTLSPod(t, "vault"))
	e.awaitTLSAnswer(t, "vault.test", "/x", "200 vault /x")
	check("the frontend passes some hosts through")
	if got, err := ask(e.inner, proxied); err == nil {
		t.Errorf("any local program can claim a client address: %q", got)
	}
}

// TestALoadBalancerThatTerminatesTLSIsNotRedirected sends X-Forwarded-Proto from a trusted
// source.
func TestALoadBalancerThatTerminatesTLSIsNotRedirected(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.setHTTPS(t, "[cloud]\ntrusted_sources = [\"127.0.0.0/8\"]\nforwarded_hops = 1")
	e.certify(t, "shop.pem", "*.test")
	e.service(t, "shop", map[string]string{"host": "shop.test", "sslTerm": "true", "redirect-https": "true", "backend-protocol": "http"}, newPod(t, "shop"))
	e.service(t, "moved", map[string]string{"host": "moved.test", "path": "/old", "rewrite": "/new", "sslTerm": "true", "redirect-https": "true", "backend-protocol": "http"}, newPod(t, "moved"))
	e.service(t, "passed", map[string]string{"host": "passed.test", "passthrough": "true", "redirect-https": "true"}, newTLSPod(t, "passed"))
	e.service(t, "plain", nil, newPod(t, "plain"))
	e.start(t)
	e.awaitTLSAnswer(t, "shop.test", "/a", "200 shop /a")
	for _, row := range []struct{ name, host, path, proto, want string }{
		{"a client in https", "shop.test", "/a", "https", "200 shop /a"},
		{"a client in plain HTTP", "shop.test", "/a", "http", "308 "},
		{"a rewritten path", "moved.test", "/old/a", "https", "200 moved /new/a"},
		{"a Service that needs passthrough", "passed.test", "/", "https", "503 "},
		{"a Service without redirect-https", "any", "/plain/", "https", "200 plain /"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.HTTP.String()+row.path, nil)
		must(t, err)
		req.Host = row.host
		req.Header.Set("X-Forwarded-For", "192.0.2.1")
		req.Header.Set("X-Forwarded-Proto", row.proto)
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Do(req)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(body))); err != nil || got != row.want && !(strings.HasSuffix(row.want, " ") && strings.HasPrefix(got, row.want)) {
			t.Errorf("%s: got %q, %v, want %q", row.name, got, err, row.want)
		}
	}
}

func TestClientCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	for mode, without := range map[string]string{"optional": "200", "required": "certificate required"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			e := newTLSEdge(t)
			ca := filepath.Join(t.TempDir(), "clients.pem")
			known := haproxytest.Certificate(t, "known client")
			crt, _ := split(known)
			must(t, os.WriteFile(ca, crt, 0o600))
			e.setHTTPS(t, fmt.Sprintf("client_ca = %q\nclient_certificate = %q", ca, mode))
			e.certify(t, "shop.pem", "shop.test")
			e.service(t, "shop", map[string]string{"host": "shop.test", "sslTerm": "true"}, newHeaderPod(t, "X-Ssl-Client-"))
			e.service(t, "plain", nil, newHeaderPod(t, "X-Ssl-Client-"))
			e.start(t)
			ask := func(certificate []byte) string {
				client := e.client(func(c *tls.Config) {
					c.ServerName = "shop.test"
					if certificate != nil {
						pair, err := tls.X509KeyPair(certificate, certificate)
						must(t, err)
						c.Certificates = []tls.Certificate{pair}
					}
				})
				defer client.CloseIdleConnections()
				return forge(t, client, "https://"+e.https.String()+"/")
			}
			eventually(t, "a client with a certificate is accepted", func() error {
				if got, want := ask(known), "200 X-Ssl-Client-Cn=known client X-Ssl-Client-Dn=CN=known client"; got != want {
					return fmt.Errorf("got %q, want %q", got, want)
				}
				return nil
			})
			// The connection may end before the client has read HAProxy's alert.
			eventually(t, "a client without a certificate gets the alert", func() error {
				got := ask(nil)
				if strings.Contains(got, "forged") || strings.HasPrefix(got, "200") != strings.HasPrefix(without, "200") {
					t.Fatalf("without a certificate: got %q, want %q", got, without)
				}
				if !strings.Contains(got, without) {
					return fmt.Errorf("got %q, want %q", got, without)
				}
				return nil
			})
			if got := ask(haproxytest.Certificate(t, "known client")); strings.HasPrefix(got, "200") {
				t.Errorf("certificate of another authority: got %q", got)
			}
			if got := forge(t, http.DefaultClient, "http://"+e.HTTP.String()+"/plain/"); got != "200" {
				t.Errorf("in plain HTTP: got %q", got)
			}
		})
	}
}

// forge sends a request with forged headers, and returns those that the pod received.
func forge(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	req.Host = "shop.test"
	req.Header.Set("X-SSL-Client-CN", "forged")
	req.Header.Set("X-SSL-Client-DN", "CN=forged")
	req.Header.Set("X-SSL-Client-Other", "forged")
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, body))
}

// newHeaderPod is a pod that answers with the request headers that have this prefix.
func newHeaderPod(t *testing.T, prefix string) *edgetest.Pod {
	t.Helper()
	return newPodOf(t, edgetest.PodOptions{Name: "headers", Configure: func(server *http.Server) {
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var lines []string
			for _, name := range []string{"Cn", "Dn", "Other"} {
				if v := r.Header.Values(prefix + name); len(v) > 0 {
					lines = append(lines, prefix+name+"="+strings.Join(v, "|"))
				}
			}
			fmt.Fprint(w, strings.Join(lines, " "))
		})
	}})
}

// TestBackendProtocols has a pod for each protocol, with a health check by path, and two
// pods whose certificates are verified, of which one is valid.
func TestBackendProtocols(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	folder := t.TempDir()
	right, wrong := haproxytest.Certificate(t, "right.shop.svc"), haproxytest.Certificate(t, "right.shop.svc")
	crt, _ := split(right)
	must(t, os.WriteFile(filepath.Join(folder, "internal.pem"), crt, 0o600))
	e.setHTTPS(t, fmt.Sprintf("backend_ca_folder = %q", folder))
	e.certify(t, "all.pem", "*.test")
	pods := map[string]*edgetest.Pod{}
	more := map[string]func() *edgetest.Pod{} // by Service: starts another pod
	add := func(name, protocol string, annotations map[string]string, certificate []byte) {
		t.Helper()
		more[name] = func() *edgetest.Pod { return newProtocolPod(t, name, certificate, protocol) }
		p := more[name]()
		pods[name] = p
		annotations["host"], annotations["sslTerm"], annotations["backend-protocol"] = name+".test", "true", protocol
		annotations["check-path"] = "/health"
		annotations["check-interval"] = "100ms"
		e.service(t, name, annotations, p)
	}
	other := haproxytest.Certificate(t, "other")
	add("http", "http", map[string]string{}, nil)
	add("https", "https", map[string]string{}, other)
	add("h2", "h2", map[string]string{}, other)
	add("h2c", "h2c", map[string]string{}, nil)
	add("right", "https", map[string]string{"backend-verify": "internal"}, right)
	add("righth2", "h2", map[string]string{"backend-verify": "none"}, right)
	add("wrong", "https", map[string]string{"backend-verify": "internal"}, wrong)
	e.start(t)
	for host, want := range map[string]string{
		"http.test": "200 http HTTP/1.1", "https.test": "200 https HTTP/1.1", "h2.test": "200 h2 HTTP/2.0",
		"h2c.test": "200 h2c HTTP/2.0", "right.test": "200 right HTTP/1.1 for right.shop.svc", "righth2.test": "200 righth2 HTTP/2.0",
	} {
		e.awaitTLSAnswer(t, host, "/", want)
	}
	eventually(t, "a pod with the certificate of another pod gets no requests", func() error {
		got, err := e.getTLS(t, "wrong.test", "/")
		if err == nil && !strings.HasPrefix(got, "503 ") {
			err = fmt.Errorf("got %s", got)
		}
		return err
	})
	e.awaitChecks(t, pods)
	// The same holds for servers that are added at run time.
	e.awaitReloads(t)
	e.endpoints(t, "right")
	e.endpoints(t, "right", newProtocolPod(t, "again", right, "https"))
	e.awaitTLSAnswer(t, "right.test", "/", "200 again HTTP/1.1 for right.shop.svc")
	for name, another := range more {
		pods[name] = another()
		e.endpoints(t, name, pods[name])
	}
	e.awaitChecks(t, pods)
	e.awaitReloads(t)
}

// awaitChecks waits for the results of the health checks ("show stat", check_status): the
// check of wrong fails, all others pass. An added server serves before its first check.
func (e *tlsEdge) awaitChecks(t *testing.T, pods map[string]*edgetest.Pod) {
	t.Helper()
	eventually(t, "health checks", func() error {
		text := strings.TrimPrefix(e.command(t, "show stat"), "# ")
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			return err
		}
		status := slices.Index(rows[0], "check_status")
		got := map[string]string{}
		for _, row := range rows {
			got[row[0]+" "+row[1]] = row[status]
		}
		for name, p := range pods {
			want := "L7OK"
			if name == "wrong" {
				want = "L6RSP"
			}
			if got := got["shop_"+name+"_80 "+p.Addr.String()]; got != want {
				return fmt.Errorf("%s has %q, want %s", name, got, want)
			}
		}
		return nil
	})
}

// newProtocolPod is a pod that answers with its name, the protocol of the request and the
// server name. With a certificate it serves TLS.
func newProtocolPod(t *testing.T, name string, certificate []byte, protocol string) *edgetest.Pod {
	t.Helper()
	return newPodOf(t, edgetest.PodOptions{Name: name, Certificate: certificate, Configure: func(server *http.Server) {
		speak(server, protocol)
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", name, r.Proto)
			if r.TLS != nil && strings.HasSuffix(r.TLS.ServerName, ".svc") {
				fmt.Fprintf(w, " for %s", r.TLS.ServerName)
			}
		})
	}})
}

// speak makes a server accept only one protocol.
func speak(server *http.Server, protocol string) {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(protocol == "http" || protocol == "https")
	server.Protocols.SetHTTP2(protocol == "h2")
	server.Protocols.SetUnencryptedHTTP2(protocol == "h2c")
}

// TestAServerIsDeletedDuringItsCheck: HAProxy 3.0 and 3.2 crash when a server is deleted
// while its health check over HTTP/2 runs.
func TestAServerIsDeletedDuringItsCheck(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	certificate := haproxytest.Certificate(t, "slow")
	ended := make(chan struct{})
	defer close(ended)
	checks := make(chan string)
	slow := func(name string) *edgetest.Pod {
		return newPodOf(t, edgetest.PodOptions{Name: name, Certificate: certificate, Configure: func(server *http.Server) {
			speak(server, "h2")
			server.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				select {
				case checks <- name: // and does not answer
				case <-ended:
				}
				<-r.Context().Done()
			})
		}})
	}
	pods := []*edgetest.Pod{slow("slow-0"), slow("slow-1")}
	e.service(t, "slow", map[string]string{"host": "slow.test", "sslTerm": "true", "backend-protocol": "h2", "check-path": "/health", "check-interval": "500ms"}, pods...)
	e.start(t)
	e.awaitServers(t, "shop_slow_80", pods...)
	pid := e.HAProxy.Pid()
	for n := range 6 {
		for name := range checks { // its check runs for 500 ms from now
			if name == pods[0].Name {
				break
			}
		}
		pods = append(pods[1:], slow(fmt.Sprintf("slow-%d", n+2)))
		e.endpoints(t, "slow", pods...)
		e.awaitServers(t, "shop_slow_80", pods...)
	}
	e.awaitStates(t, "shop_slow_80", haproxy.Ready, haproxy.Ready)
	e.checkPid(t, pid)
}

// TestAScanFindsNothingWeak scans the TLS frontend with Debian's sslscan.
func TestAScanFindsNothingWeak(t *testing.T) {
	t.Parallel()
	need(t, "sslscan", "sslscan")
	e := newTLSEdge(t)
	e.certify(t, "shop.pem", "shop.test")
	e.serveShop(t)
	out, err := exec.CommandContext(t.Context(), "sslscan", "--no-colour", "--no-fallback", "--sni-name=shop.test", e.https.String()).CombinedOutput()
	if err != nil {
		t.Fatalf("sslscan: %v\n%s", err, out)
	}
	accepted := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) >= 2 && words[1] == "enabled" && (strings.HasPrefix(words[0], "SSLv") || words[0] == "TLSv1.0" || words[0] == "TLSv1.1") {
			t.Errorf("%s", line)
		}
		if len(words) < 5 || words[0] != "Accepted" && words[0] != "Preferred" {
			continue
		}
		accepted++
		good := (words[1] == "TLSv1.2" && strings.HasPrefix(words[4], "ECDHE-") || words[1] == "TLSv1.3") && (strings.Contains(words[4], "GCM") || strings.Contains(words[4], "CHACHA20"))
		if !good {
			t.Errorf("weak: %s", line)
		}
	}
	if accepted < 4 {
		t.Errorf("%d ciphers found in\n%s", accepted, out)
	}
}
