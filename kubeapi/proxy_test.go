// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"podgate/kubeapi"
)

// connectProxy answers CONNECT like a forward proxy. It connects to server, whatever
// the address of the request, and counts the requests.
func connectProxy(server string, asked *atomic.Int32) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
			return
		}
		asked.Add(1)
		there, err := net.Dial("tcp", server)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			there.Close()
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		join(here, there)
	})
}

// join passes bytes both ways until either side ends.
func join(a, b net.Conn) {
	go func() {
		_, _ = io.Copy(a, b)
		a.Close()
	}()
	_, _ = io.Copy(b, a)
	b.Close()
}

// socksProxy speaks as much of SOCKS5 as a client without a password needs (RFC
// 1928). It connects to server, whatever the address of the request.
func socksProxy(t *testing.T, server string, asked *atomic.Int32) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveSocks(conn, server, asked)
		}
	}()
	return "socks5://" + listener.Addr().String()
}

func serveSocks(conn net.Conn, server string, asked *atomic.Int32) {
	defer conn.Close()
	read := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(conn, b); err != nil {
			return make([]byte, n)
		}
		return b
	}
	read(int(read(2)[1])) // version and methods
	_, _ = conn.Write([]byte{5, 0})
	switch head := read(4); head[3] {
	case 1:
		read(4)
	case 3:
		read(int(read(1)[0]))
	case 4:
		read(16)
	}
	read(2) // port
	asked.Add(1)
	there, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	join(conn, there)
}

// TestFollowUsesTheProxyOfTheKubeconfig follows a server whose name only the proxy
// can resolve, over TLS from end to end.
func TestFollowUsesTheProxyOfTheKubeconfig(t *testing.T) {
	s := serveTLS(t)
	address := s.URL()[len("https://"):]
	var asked atomic.Int32
	plain, secure := httptest.NewServer(connectProxy(address, &asked)), httptest.NewTLSServer(connectProxy(address, &asked))
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	ca := append(s.CertificatePEM(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})...)
	for _, tt := range []struct{ name, proxy, extra string }{
		{"http", plain.URL, "tls-server-name: localhost"},
		{"https", secure.URL, "tls-server-name: 127.0.0.1"}, // which is in both certificates
		{"socks5", socksProxy(t, address, &asked), "tls-server-name: localhost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked.Store(0)
			file := filepath.Join(t.TempDir(), "config")
			write(t, file, fmt.Sprintf(`
current-context: prod
contexts: [{name: prod, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: "https://api.example.com:6443", proxy-url: %q, certificate-authority-data: %q, %s}}]
`, tt.proxy, base64.StdEncoding.EncodeToString(ca), tt.extra))
			cfg := watching(s)
			cfg.Server, cfg.Kubeconfig = "", file
			f := follow(t, cfg)
			f.untilServices("cart")
			eventually(t, "two watches", func() bool { return s.Watching() == 2 })
			if asked.Load() == 0 {
				t.Error("the proxy received no request")
			}
		})
	}
}

// proxiedEnv marks the run of TestListUsesTheProxyOfTheEnvironment in a process of its
// own: net/http reads HTTP_PROXY once per process.
const proxiedEnv = "PODGATE_TEST_PROXIED"

func TestListUsesTheProxyOfTheEnvironment(t *testing.T) {
	cfg := kubeapi.Config{Server: "http://api.example.com", Namespaces: []string{"shop"}}
	if os.Getenv(proxiedEnv) != "" {
		if _, err := newClient(t, cfg, &logBook{}).List(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.Host)
		_, _ = io.WriteString(w, `{"metadata":{"resourceVersion":"7"}}`)
	}))
	t.Cleanup(proxy.Close)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), proxiedEnv+"=1", "HTTP_PROXY="+proxy.URL, "http_proxy=", "NO_PROXY=", "no_proxy=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := asked.Load(); got != "api.example.com" {
		t.Errorf("the proxy received a request for %v, want api.example.com", got)
	}
}
