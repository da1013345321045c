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

// gateway returns the six ports of an API manager, which each of its pods serves.
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

// gatewayService returns the name of a port's own Service, as users of service-loadbalancer
// name it.
func gatewayService(p kubeapi.ServicePort) string {
	if p.Port == 9443 {
		return "gateway-443"
	}
	return fmt.Sprintf("gateway-%d", p.Port)
}

// TestSixPortsBehindTLS is a deployment of users of service-loadbalancer: HTTPS pods with
// self-signed certificates, a host and a certificate for each port, and cookies for
// stickiness. The ports belong to six Services, or to one.
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
					own["backend-protocol"] = "https" // the name of the port does not end in https
				}
				if !oneService {
					e.servicePorts(t, gatewayService(p), []kubeapi.ServicePort{p}, own, map[string][]*edgetest.Pod{p.Name: pods[p.Name]})
				}
				for k, v := range own {
					all[k+"."+p.Name] = v
				}
			}
			if oneService {
				e.servicePorts(t, "gateway", gateway(), all, pods)
			}
			e.start(t)
			for _, p := range gateway() {
				host := p.Name + ".example.com"
				e.awaitHost(t, host)
				e.checkCurl(t, host, p.Name)
				e.checkOpenSSL(t, host)
			}
			e.awaitReloads(t) // only the first
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

// checkCurl sends requests by curl: the first answer sets a cookie, which selects the same
// pod from then on. Without the cookie the pods take turns, although the Service has
// sessionAffinity: ClientIP as well: the cookie has priority.
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
		t.Errorf("%s: a client with its cookie reached %v", host, pods)
	}
	for n := 0; n < 6 && len(pods) < 2; n++ {
		out, err := e.curl(t, host)
		if err != nil {
			t.Fatalf("curl https://%s: %v: %s", host, err, out)
		}
		pods[strings.Fields(out)[0]] = true
	}
	if len(pods) != 2 {
		t.Errorf("%s: a client without cookies reached %v", host, pods)
	}
}

// checkOpenSSL checks that the certificate is for the host.
func (e *tlsEdge) checkOpenSSL(t *testing.T, host string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", "s_client", "-connect", e.https.String(), "-servername", host, "-verify_hostname", host)
	out, err := cmd.CombinedOutput()
	if want := "subject=CN=" + host + "\n"; err != nil || !strings.Contains(strings.ReplaceAll(string(out), " ", ""), want) {
		t.Errorf("openssl s_client -servername %s: %v, want %q in\n%s", host, err, want, out)
	}
}
