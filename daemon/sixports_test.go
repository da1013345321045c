// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/kubeapi"
)

// gateway are the six ports of an API manager, which every one of its pods has.
func gateway() []kubeapi.ServicePort {
	return []kubeapi.ServicePort{
		{Name: "servlet-https", Protocol: "TCP", Port: 9443},
		{Name: "servlet-http", Protocol: "TCP", Port: 9763},
		{Name: "pass-through-https", Protocol: "TCP", Port: 8243},
		{Name: "pass-through-http", Protocol: "TCP", Port: 8280},
		{Name: "binary", Protocol: "TCP", Port: 7611},
		{Name: "binary-secure", Protocol: "TCP", Port: 7711},
	}
}

// gatewayService is what the port's own Service is called; the first is as users of the
// ancestor have it.
func gatewayService(p kubeapi.ServicePort) string {
	if p.Port == 9443 {
		return "gateway-443"
	}
	return fmt.Sprintf("gateway-%d", p.Port)
}

// TestSixPortsBehindTLS is what users of the ancestor expose: self-signed HTTPS
// pods, each Service reached by its host, with a certificate chosen by the name
// that a client asks for, sticky by cookie. As six Services, and as one.
func TestSixPortsBehindTLS(t *testing.T) {
	t.Parallel()
	need(t, "curl", "curl")
	need(t, "openssl", "openssl")
	for name, oneService := range map[string]bool{"six Services": false, "one Service": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newTLSEdge(t)
			all := map[string]string{}
			pods := map[string][]*edgetest.Pod{}
			for _, p := range gateway() {
				host := p.Name + ".example.com"
				e.certify(t, p.Name+".pem", host)
				pods[p.Name] = []*edgetest.Pod{newTLSPod(t, p.Name+"-0"), newTLSPod(t, p.Name+"-1")}
				own := map[string]string{"host": host, "sslTerm": "true", "cookie-sticky-session": "true"}
				if !strings.HasSuffix(p.Name, "https") {
					own["backend-protocol"] = "https" // as nothing else tells
				}
				if !oneService {
					e.serve(t, gatewayService(p), []kubeapi.ServicePort{p}, own, map[string][]*edgetest.Pod{p.Name: pods[p.Name]})
				}
				for k, v := range own {
					all[k+"."+p.Name] = v
				}
			}
			if oneService {
				e.serve(t, "gateway", gateway(), all, pods)
			}
			e.start(t)
			for _, p := range gateway() {
				host := p.Name + ".example.com"
				e.awaitHost(t, host)
				e.checkCurl(t, host, p.Name)
				e.checkOpenSSL(t, host)
			}
			e.awaitReloads(t) // none but the first
		})
	}
}

// awaitHost waits until a host answers.
func (e *tlsEdge) awaitHost(t *testing.T, host string) {
	t.Helper()
	eventually(t, "https://"+host, func() error {
		got, err := e.getTLS(t, host, "/")
		if err == nil && !strings.HasPrefix(got, "200 ") {
			err = fmt.Errorf("got %s", got)
		}
		return err
	})
}

// checkCurl asks as curl does: the first answer gives a cookie, which leads to
// the same pod ever after. Without one the pods take turns, although the Service
// has its clients stick by address as well: the cookie has the better of it.
func (e *tlsEdge) checkCurl(t *testing.T, host, port string) {
	t.Helper()
	jar := filepath.Join(t.TempDir(), "cookies")
	pods := map[string]bool{}
	for range 4 {
		out, err := e.curl(t, host, "--http2", "-b", jar, "-c", jar, "-w", "%{http_version} %{http_code}")
		if err != nil || !strings.HasPrefix(out, port+"-") || !strings.HasSuffix(out, "2 200") {
			t.Fatalf("curl https://%s: %v: %s", host, err, out)
		}
		pods[strings.Fields(out)[0]] = true
	}
	if len(pods) != 1 {
		t.Errorf("%s: one client, with its cookie, came to %v", host, pods)
	}
	for n := 0; n < 6 && len(pods) < 2; n++ {
		out, err := e.curl(t, host)
		if err != nil {
			t.Fatalf("curl https://%s: %v: %s", host, err, out)
		}
		pods[strings.Fields(out)[0]] = true
	}
	if len(pods) != 2 {
		t.Errorf("%s: a client without cookies came to %v", host, pods)
	}
}

// checkOpenSSL sees that the certificate is that of the host.
func (e *tlsEdge) checkOpenSSL(t *testing.T, host string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", "s_client", "-connect", e.https.String(), "-servername", host, "-verify_hostname", host)
	out, err := cmd.CombinedOutput()
	if want := "subject=CN=" + host + "\n"; err != nil || !strings.Contains(strings.ReplaceAll(string(out), " ", ""), want) {
		t.Errorf("openssl s_client -servername %s: %v, want %q in\n%s", host, err, want, out)
	}
}
