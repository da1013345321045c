// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/kubeapi"
)

// TestSixPortsOfOneBrowser is the deployment of TestSixPortsBehindTLS as browsers see it:
// the console by https and http of one host, the gateway by https and http of another, and
// two TCP ports, one of which passes TLS on to the pods. One browser uses all of them in
// turn, and each port keeps the pod that it selected for this browser.
func TestSixPortsOfOneBrowser(t *testing.T) {
	t.Parallel()
	for name, oneService := range map[string]bool{"six Services": false, "one Service": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t).withTLS(t)
			tcp := map[string]netip.AddrPort{"binary": e.freeAddr(t), "binary-secure": e.freeAddr(t)}
			e.setHTTPS(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d, %d]",
				tcp["binary"].Addr(), tcp["binary"].Port(), tcp["binary-secure"].Port()))
			e.certify(t, "all.pem", "*.am.example.com")
			own := map[string]map[string]string{
				"servlet-https":      {"host": "mgt.am.example.com", "sslTerm": "true", "cookie-sticky-session": "true"},
				"servlet-http":       {"host": "mgt.am.example.com", "cookie-sticky-session": "true"},
				"pass-through-https": {"host": "gw.am.example.com", "sslTerm": "true", "cookie-sticky-session": "true"},
				"pass-through-http":  {"host": "gw.am.example.com", "cookie-sticky-session": "true"},
				"binary":             {"tcp": fmt.Sprint(tcp["binary"].Port())},
				"binary-secure":      {"tcp": fmt.Sprint(tcp["binary-secure"].Port())},
			}
			all := map[string]string{}
			pods := map[string][]*edgetest.Pod{}
			for _, p := range gateway() {
				start := newPod
				if strings.HasSuffix(p.Name, "https") || p.Name == "binary-secure" {
					start = newTLSPod
				}
				pods[p.Name] = []*edgetest.Pod{start(t, p.Name+"-0"), start(t, p.Name+"-1")}
				if !oneService {
					e.servicePorts(t, gatewayService(p), []kubeapi.ServicePort{p}, own[p.Name], map[string][]*edgetest.Pod{p.Name: pods[p.Name]})
				}
				for k, v := range own[p.Name] {
					all[k+"."+p.Name] = v
				}
			}
			if oneService {
				e.servicePorts(t, "gateway", gateway(), all, pods)
			}
			e.start(t)
			e.awaitHost(t, "mgt.am.example.com")
			urls := map[string]string{
				"servlet-https":      "https://mgt.am.example.com/carbon",
				"servlet-http":       "http://mgt.am.example.com/carbon",
				"pass-through-https": "https://gw.am.example.com/api",
				"pass-through-http":  "http://gw.am.example.com/api",
				"binary":             "http://" + tcp["binary"].String() + "/",
				"binary-secure":      "https://" + tcp["binary-secure"].String() + "/",
			}
			b := newBrowser(t, e.HTTP, e.https)
			used := map[string]bool{}
			reached := map[string][]string{}
			for range 16 {
				for _, p := range gateway() {
					pod := ""
					if _, isTCP := tcp[p.Name]; isTCP {
						pod = podByTCP(t, urls[p.Name])
					} else {
						pod = b.pod(t, urls[p.Name])
					}
					used[p.Name] = used[p.Name] || strings.HasPrefix(pod, p.Name+"-")
					if !slices.Contains(reached[p.Name], pod) {
						reached[p.Name] = append(reached[p.Name], pod)
					}
				}
			}
			for _, p := range gateway() {
				if got := reached[p.Name]; len(got) != 1 || !used[p.Name] {
					t.Errorf("port %s: one browser reached the pods %v", p.Name, got)
				}
			}
			for key, c := range b.names {
				if !c.HttpOnly {
					t.Errorf("cookie %s is not HttpOnly", key)
				}
			}
			if len(b.names) != 4 {
				t.Errorf("cookies %v, want one for each HTTP port", b.names)
			}
			e.awaitReloads(t) // only the first
		})
	}
}

// podByTCP requests a URL on a new connection, without cookies, and returns the name of
// the pod that answered.
func podByTCP(t *testing.T, url string) string {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	b := &browser{Client: http.Client{Transport: transport}}
	return b.pod(t, url)
}
