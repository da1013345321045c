// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

func TestCredentialFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"ca", "token", "cert", "key"} {
		write(t, filepath.Join(dir, name), "x")
	}
	cert, key := selfSigned(t)
	write(t, filepath.Join(dir, "ca"), string(cert))
	write(t, filepath.Join(dir, "cert"), string(cert))
	write(t, filepath.Join(dir, "key"), string(key))
	kubeconfig := filepath.Join(dir, "config")
	configure := func(user string) {
		write(t, kubeconfig, `{current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443", certificate-authority: ca}}], users: [{name: u, user: {`+user+`}}]}`)
	}
	configure("tokenFile: token")
	plain := kubeapi.Config{Server: "https://10.0.0.1:6443", Namespaces: []string{"shop"}}
	files := plain
	files.CAFile, files.TokenFile = dir+"/ca", dir+"/token"
	files.ClientCertificate, files.ClientKey = dir+"/cert", dir+"/key"
	for _, tt := range []struct {
		name string
		cfg  kubeapi.Config
		want []string
	}{
		{"a server without files", plain, nil},
		{"every file of the settings", files, []string{"ca", "token", "cert", "key"}},
		{"a kubeconfig and the files it names", kubeapi.Config{Kubeconfig: kubeconfig, Namespaces: []string{"shop"}}, []string{"config", "ca", "token"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for _, name := range tt.want {
				want = append(want, filepath.Join(dir, name))
			}
			c := newClient(t, tt.cfg, &logBook{})
			if diff := cmp.Diff(want, c.CredentialFiles()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tt.cfg.Kubeconfig == "" {
				return
			}
			configure("client-certificate: cert, client-key: key")
			c.Refresh()
			want = append(want[:2], dir+"/cert", dir+"/key")
			if diff := cmp.Diff(want, c.CredentialFiles()); diff != "" {
				t.Errorf("after the kubeconfig names other files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefreshReadsNewCertificates(t *testing.T) {
	var mu sync.Mutex
	var shown string // the client certificate, as DER
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		shown = string(r.TLS.PeerCertificates[0].Raw)
		if r.Proto != "HTTP/2.0" {
			t.Errorf("protocol %s, want HTTP/2.0", r.Proto)
		}
		_, _ = io.WriteString(w, `{"metadata":{"resourceVersion":"7"},"items":[]}`)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	cfg := kubeapi.Config{
		Server:            server.URL,
		CAFile:            dir + "/ca",
		ClientCertificate: dir + "/cert",
		ClientKey:         dir + "/key",
		Namespaces:        []string{"shop"},
		PollInterval:      10_000_000, // 10 ms
	}
	write(t, cfg.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	replace := func() func() bool {
		cert, key := selfSigned(t)
		write(t, cfg.ClientCertificate, string(cert))
		write(t, cfg.ClientKey, string(key))
		block, _ := pem.Decode(cert)
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return shown == string(block.Bytes)
		}
	}
	first := replace()
	var c *kubeapi.Client
	f := follow(t, cfg, func(client *kubeapi.Client) { c = client })
	eventually(t, "the first certificate is shown", first)
	second := replace()
	c.Refresh()
	eventually(t, "the second certificate is shown", second)

	// A new CA applies to new connections.
	cert, _ := selfSigned(t)
	write(t, cfg.CAFile, string(cert))
	c.Refresh()
	server.CloseClientConnections()
	eventually(t, "the server is not trusted", func() bool { return len(f.logs.lines("signed by an unknown authority")) > 0 })

	// An unreadable key leaves the credentials as they were.
	write(t, cfg.ClientKey, "broken")
	c.Refresh()
	eventually(t, "the warning", func() bool { return len(f.logs.lines("credentials unreadable, keeping the last ones")) > 0 })
}

// TestFollowReReadsTheKubeconfig runs without a watcher of CredentialFiles, which
// package daemon has.
func TestFollowReReadsTheKubeconfig(t *testing.T) {
	one, other := serve(t, "cart"), serve(t, "pay")
	file := filepath.Join(t.TempDir(), "config")
	config := func(s *kubeapitest.Server) string {
		return fmt.Sprintf("current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: %q}}]\n", s.URL())
	}
	write(t, file, config(one))
	cfg := polling(one)
	cfg.Server, cfg.Kubeconfig = "", file
	f := follow(t, cfg, func(c *kubeapi.Client) { c.SetRefresh(20 * time.Millisecond) })
	f.untilServices("cart")
	write(t, file, config(other))
	f.untilServices("pay")
	if got := f.logs.lines("credentials changed"); len(got) != 1 {
		t.Errorf("logged %d times, want once: %q", len(got), got)
	}
}

// execKubeconfig writes a kubeconfig whose user is the shell script.
func execKubeconfig(t *testing.T, server, version, script string) kubeapi.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	write(t, file, fmt.Sprintf(`
current-context: a
contexts: [{name: a, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users:
- name: u
  user:
    exec:
      apiVersion: client.authentication.k8s.io/%s
      command: sh
      args: ["-c", %q]
      env: [{name: SHOP, value: open}]
      provideClusterInfo: true
      interactiveMode: IfAvailable
`, server, version, script))
	return kubeapi.Config{Kubeconfig: file, Namespaces: []string{"shop"}, PollInterval: 10_000_000}
}

func TestExecPluginGivesTheToken(t *testing.T) {
	for _, version := range []string{"v1", "v1beta1"} {
		t.Run(version, func(t *testing.T) {
			s := serve(t, "cart")
			s.Misbehave(kubeapitest.RequireToken("open-false-yes"))
			runs := filepath.Join(t.TempDir(), "runs")
			cfg := execKubeconfig(t, s.URL(), version, `echo run >>`+runs+`
case "$KUBERNETES_EXEC_INFO" in *'"interactive":false'*'"server":"http://'*) info=false-yes;; esac
echo '{"apiVersion":"client.authentication.k8s.io/`+version+`","kind":"ExecCredential","status":{"token":"'$SHOP-$info'","expirationTimestamp":"2999-01-01T00:00:00Z"}}'`)
			c := newClient(t, cfg, &logBook{})
			for range 2 {
				if _, err := c.List(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Count(read(t, runs), "run"); got != 1 {
				t.Errorf("the plugin ran %d times, want once", got)
			}
		})
	}
}

func TestExecPluginGivesTheClientCertificate(t *testing.T) {
	cert, key := selfSigned(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"metadata":{"resourceVersion":"7"},"items":[]}`)
	}))
	server.TLS = &tls.Config{ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	escape := func(pem []byte) string { return strings.ReplaceAll(string(pem), "\n", `\n`) }
	cfg := execKubeconfig(t, server.URL, "v1", `printf '%s' '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"clientCertificateData":"`+
		escape(cert)+`","clientKeyData":"`+escape(key)+`"}}'`)
	if _, err := newClient(t, cfg, &logBook{}).List(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestExecPluginErrors(t *testing.T) {
	const head = `list services in namespace "shop": run credential plugin "sh": `
	for _, tt := range []struct{ name, script, want string }{
		{"it fails", "echo s3cret; echo 'not logged in' >&2; exit 3", "exit status 3: not logged in"},
		{"it fails without output", "exit 1", "exit status 1: it printed no reason"},
		{"it prints no JSON", "echo s3cret", "it printed no ExecCredential"},
		{"it prints another version", `echo '{"apiVersion":"v2","kind":"ExecCredential"}'`, `it printed "ExecCredential" of "v2", want ExecCredential of "client.authentication.k8s.io/v1"`},
		{"it prints no credential", `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{}}'`, "it printed neither a token nor a client certificate"},
		{"it prints half a certificate", `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"clientCertificateData":"x"}}'`, "it printed a client certificate without its key, or the key alone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := newClient(t, execKubeconfig(t, "https://127.0.0.1:1", "v1", tt.script), &logBook{}).List(t.Context())
			if err == nil || err.Error() != head+tt.want {
				t.Errorf("error %v, want %s", err, head+tt.want)
			}
		})
	}
}

func TestExecPluginFailureIsLoggedOnce(t *testing.T) {
	s := serve(t, "cart")
	f := follow(t, execKubeconfig(t, s.URL(), "v1", "exit 1"))
	eventually(t, "the error", func() bool { return len(f.logs.lines(`level=ERROR msg="credentials unavailable"`)) == 1 })
	if got := f.logs.lines("unreachable"); len(got) > 0 || s.Lists() > 0 {
		t.Errorf("log %q and %d lists, want no outage and no request", got, s.Lists())
	}
}
