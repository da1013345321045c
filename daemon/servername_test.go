// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

// TestPodsGetAServerName serves pods that reject TLS clients without a server name, as
// Envoy, Traefik and others can be configured to do.
func TestPodsGetAServerName(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	port := e.freeAddr(t)
	e.certify(t, "all.pem", "*.test")
	e.setHTTPS(t, fmt.Sprintf("default_certificate = %q\n[tcp]\naddresses = [%q]\nallowed_ports = [%d]", filepath.Join(e.folder, "all.pem"), port.Addr(), port.Port()))
	pods := map[string]*witness{}
	for _, row := range []struct {
		name        string
		annotations string
		check       string // the server name of health checks
	}{
		{"one", "host=one.test sslTerm=true", "one.test"},
		{"h2", "host=h2.test sslTerm=true backend-protocol=h2", "h2.test"},
		{"plain", "host=plain.test,other.test", "plain.test"},
		{"wild", "host=*.wild.test", "wild.shop.svc"},
		{"mixed", "host=*.mixed.test,mixed.test", "mixed.test"},
		{"path", "path=/path", "path.shop.svc"},
		{"tcp", fmt.Sprintf("tcp=%d sslTerm=true", port.Port()), "tcp.shop.svc"},
	} {
		annotations := map[string]string{"backend-protocol": "https", "check-interval": "500ms"}
		for _, a := range strings.Fields(row.annotations) {
			key, value, _ := strings.Cut(a, "=")
			annotations[key] = value
		}
		p := newWitness(t, annotations["backend-protocol"], "")
		e.service(t, row.name, annotations, p.Pod)
		pods[row.check] = p
	}
	e.start(t)
	for want, p := range pods {
		for range cap(p.hellos) { // more than it takes to mark a server as down
			if got, _, _ := strings.Cut(receive(t, p.hellos), " "); got != want {
				t.Errorf("a health check has the server name %q, want %q", got, want)
			}
		}
	}
	e.awaitTLSAnswer(t, "one.test", "/", "200 HTTP/1.1 for one.test")
	e.awaitTLSAnswer(t, "h2.test", "/", "200 HTTP/2.0 for h2.test offering h2")
	for _, row := range []struct{ name, request, want string }{
		{"the host", "GET / HTTP/1.1|Host: plain.test", "plain.test"},
		{"another host of the port", "GET / HTTP/1.1|Host: other.test", "other.test"},
		{"the host without its port, in lower case", "GET / HTTP/1.1|Host: Plain.Test.:8080", "plain.test"},
		{"the host of a URL", "GET http://plain.test/ HTTP/1.0", "plain.test"},
		{"a host of a wildcard", "GET / HTTP/1.1|Host: a.wild.test", "a.wild.test"},
		{"any host of a path", "GET /path HTTP/1.1|Host: any.test", "any.test"},
		{"no host", "GET /path HTTP/1.0", "path.shop.svc"},
		{"an empty host", "GET /path HTTP/1.1|Host:", "path.shop.svc"},
		{"an IPv4 address", "GET /path HTTP/1.1|Host: 192.0.2.1", "path.shop.svc"},
		{"an IPv4 address and a port", "GET /path HTTP/1.1|Host: 192.0.2.1:8080", "path.shop.svc"},
		{"an IPv6 address", "GET /path HTTP/1.1|Host: [2001:db8::1]:8080", "path.shop.svc"},
		{"a host that is not a name", "GET /path HTTP/1.1|Host: a_b!c", "path.shop.svc"},
		{"a host that is too long", "GET /path HTTP/1.1|Host: " + strings.Repeat("a.", 150) + "test", "path.shop.svc"},
	} {
		text := strings.ReplaceAll(row.request, "|", "\r\n") + "\r\nConnection: close\r\n\r\n"
		eventually(t, row.name, func() error {
			got, err := exchangeFrom(localhost, e.HTTP, text)
			if want := " for " + row.want; err == nil && !strings.HasSuffix(got, want) {
				err = fmt.Errorf("got %q, want %q", got, want)
			}
			return err
		})
	}
	for sent, want := range map[string]string{"amqp.test": "amqp.test", "": "tcp.shop.svc"} {
		e.awaitBytes(t, port, sent, "for "+want)
	}
}

// awaitBytes waits until a TCP port with TLS answers a client that sends this server name.
func (e *tlsEdge) awaitBytes(t *testing.T, port netip.AddrPort, serverName, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("an answer to server name %q", serverName), func() error {
		conn, err := tls.Dial("tcp", port.String(), &tls.Config{ServerName: serverName, InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
		got, err := io.ReadAll(conn)
		if err == nil && !strings.HasSuffix(string(got), want) {
			err = fmt.Errorf("got %q, want %q", got, want)
		}
		return err
	})
}

// TestHealthChecksAreLikeTraffic compares the connections of health checks with those of
// requests.
func TestHealthChecksAreLikeTraffic(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "all.pem", "*.test")
	witnesses := map[string]*witness{}
	for _, protocol := range []string{"http", "https", "h2", "h2c"} {
		for _, proxy := range []string{"false", "v1", "v2"} {
			name := protocol + "-" + proxy
			witnesses[name] = newWitness(t, protocol, proxy)
			e.service(t, name, map[string]string{
				"host": name + ".test", "sslTerm": "true", "backend-protocol": protocol, "send-proxy": proxy, "check-path": "/healthz", "check-interval": "500ms",
			}, witnesses[name].Pod)
		}
	}
	e.start(t)
	for name, p := range witnesses {
		check := receive(t, p.checks)
		t.Logf("%s: %s", name, check)
		e.awaitTLSAnswer(t, name+".test", "/", "200 "+check)
	}
}

// witness is a pod that answers a request with what it knows about the connection. It
// accepts only connections with the PROXY header that it expects, and only TLS clients
// that send a server name.
type witness struct {
	*edgetest.Pod
	hellos chan string // of the first TLS clients
	checks chan string // what the first health checks with a path would be answered with
}

// connKey is the key of a witnessConn in the context of a request.
type connKey struct{}

// newWitness starts a witness. proxy is a value of send-proxy.
func newWitness(t *testing.T, protocol, proxy string) *witness {
	t.Helper()
	listener, err := edgetest.ListenAsPod(0)
	must(t, err)
	p := &witness{
		Pod:    &edgetest.Pod{Addr: netip.MustParseAddrPort(listener.Addr().String()), Name: "witness"},
		hellos: make(chan string, 3),
		checks: make(chan string, 1),
	}
	note := func(list chan string, text string) {
		select {
		case list <- text:
		default:
		}
	}
	server := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if secured, ok := c.(*tls.Conn); ok {
				c = secured.NetConn()
			}
			return context.WithValue(ctx, connKey{}, c)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := r.Context().Value(connKey{}).(*witnessConn)
			text := r.Proto + c.header
			if c.hello != "" {
				text += " for " + c.hello
			}
			if r.URL.Path == "/healthz" {
				note(p.checks, text)
			}
			fmt.Fprint(w, text)
		}),
	}
	speak(server, protocol)
	serve := func() error { return server.Serve(witnessListener{listener, proxy}) }
	if protocol == "https" || protocol == "h2" {
		text := haproxytest.Certificate(t, "pod")
		pair, err := tls.X509KeyPair(text, text)
		must(t, err)
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			text := strings.TrimSuffix(hello.ServerName+" offering "+strings.Join(hello.SupportedProtos, ","), " offering ")
			hello.Conn.(*witnessConn).hello = text
			note(p.hellos, text)
			if hello.ServerName == "" {
				return nil, errors.New("the client sends no server name")
			}
			return nil, nil
		}}
		serve = func() error { return server.ServeTLS(witnessListener{listener, proxy}, "", "") }
	}
	var ended sync.WaitGroup
	ended.Go(func() { _ = serve() }) // http.ErrServerClosed
	t.Cleanup(func() { server.Close(); ended.Wait() })
	return p
}

// witnessListener accepts connections that begin with a PROXY header, or have none.
type witnessListener struct {
	net.Listener
	proxy string
}

// witnessConn is a connection without its PROXY header.
type witnessConn struct {
	net.Conn
	proxy  string // as in newWitness
	once   sync.Once
	buffer *bufio.Reader
	err    error
	header string // the version of the PROXY header
	hello  string // the server name and the protocols that the TLS client offers
}

func (l witnessListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &witnessConn{Conn: c, proxy: l.proxy, buffer: bufio.NewReader(c)}, nil
}

func (c *witnessConn) Read(b []byte) (int, error) {
	c.once.Do(func() { c.header, c.err = readProxyHeader(c.buffer, c.proxy) })
	if c.err != nil {
		return 0, c.err
	}
	return c.buffer.Read(b)
}

// readProxyHeader reads the PROXY header of a version (proxy-protocol.txt), if any.
func readProxyHeader(r *bufio.Reader, version string) (string, error) {
	switch version {
	case "v1":
		line, err := r.ReadString('\n')
		if err == nil && !strings.HasPrefix(line, "PROXY ") {
			err = fmt.Errorf("%q is not a PROXY header", line)
		}
		return " after v1", err
	case "v2":
		start := make([]byte, 16)
		if _, err := io.ReadFull(r, start); err != nil {
			return "", err
		}
		if !strings.HasPrefix(string(start), "\r\n\r\n\x00\r\nQUIT\n") {
			return "", fmt.Errorf("%q is not a PROXY header", start)
		}
		_, err := io.CopyN(io.Discard, r, int64(start[14])<<8|int64(start[15]))
		return " after v2", err
	}
	return "", nil
}
