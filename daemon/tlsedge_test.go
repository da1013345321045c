// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

// tlsEdge is an edge that terminates TLS.
type tlsEdge struct {
	*edge
	https      netip.AddrPort
	folder     string         // of certificates
	httpsRelay netip.AddrPort // https.relay
	inner      netip.AddrPort // https.inner
}

// newTLSEdge starts everything except podgate. More lines are written to section [https].
func newTLSEdge(t *testing.T, more ...string) *tlsEdge {
	e := newEdge(t).withTLS(t)
	e.setHTTPS(t, more...)
	return e
}

// withTLS returns the edge with addresses for TLS, which setHTTPS uses.
func (e *edge) withTLS(t *testing.T) *tlsEdge {
	return &tlsEdge{edge: e, folder: t.TempDir(), https: e.freeAddr(t), httpsRelay: e.freeAddr(t), inner: e.freeAddr(t)}
}

// setHTTPS writes podgate.toml.
func (e *tlsEdge) setHTTPS(t *testing.T, more ...string) {
	t.Helper()
	e.configure(t, fmt.Sprintf("[https]\nbind = [%q]\ncertificates = [%q]\nrelay = %q\ninner = %q\n%s\n",
		e.https, e.folder, e.httpsRelay, e.inner, strings.Join(more, "\n")))
}

// certify writes a new certificate for these names to the folder.
func (e *tlsEdge) certify(t *testing.T, file string, names ...string) {
	t.Helper()
	e.put(t, file, haproxytest.Certificate(t, names...))
}

// put replaces a file of the folder atomically.
func (e *tlsEdge) put(t *testing.T, file string, text []byte) {
	t.Helper()
	path := filepath.Join(e.folder, file)
	must(t, errors.Join(os.WriteFile(path+".tmp", text, 0o600), os.Rename(path+".tmp", path)))
}

// presents returns the common name of the certificate that a handshake for a host
// presents, or the error of the handshake.
func (e *tlsEdge) presents(host string) string {
	conn, err := tls.Dial("tcp", e.https.String(), &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// awaitCertificate waits until presents returns want.
func (e *tlsEdge) awaitCertificate(t *testing.T, host, want string) {
	t.Helper()
	eventually(t, "certificate of "+host, func() error {
		if got := e.presents(host); got != want {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
}

const unknownName = "remote error: tls: unrecognized name"

// client returns a client that does not verify certificates and follows no redirects.
func (e *tlsEdge) client(configure func(*tls.Config)) *http.Client {
	c := &tls.Config{InsecureSkipVerify: true}
	if configure != nil {
		configure(c)
	}
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	return &http.Client{Timeout: 10 * time.Second, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// getTLS sends a request to the TLS frontend, with host as server name and Host header, and
// returns the status and the body of the answer.
func (e *tlsEdge) getTLS(t *testing.T, host, path string) (string, error) {
	client := e.client(func(c *tls.Config) { c.ServerName = host })
	defer client.CloseIdleConnections()
	return edgetest.Fetch(t.Context(), client, host, "https://"+e.https.String()+path)
}

func (e *tlsEdge) awaitTLSAnswer(t *testing.T, host, path, want string) {
	t.Helper()
	eventually(t, "https://"+host+path, func() error {
		got, err := e.getTLS(t, host, path)
		if err == nil && got != want {
			err = fmt.Errorf("got %q, want %q", got, want)
		}
		return err
	})
}

// serveShop starts podgate with one Service, shop, of one pod, and waits until HAProxy
// serves it.
func (e *tlsEdge) serveShop(t *testing.T) {
	t.Helper()
	e.service(t, "shop", map[string]string{"host": "shop.test", "sslTerm": "true"}, newPod(t, "shop-0"))
	e.start(t)
	e.awaitTLSAnswer(t, "shop.test", "/x", "200 shop-0 /x")
}

// newTLSPod is a pod that serves TLS with a self-signed certificate.
func newTLSPod(t *testing.T, name string) *edgetest.Pod {
	t.Helper()
	return newPodOf(t, edgetest.PodOptions{Name: name, Certificate: haproxytest.Certificate(t, name+".pod")})
}

// servicePorts creates a Service with these ports and sessionAffinity: ClientIP, and with
// the pods of each port by the port's name.
func (e *tlsEdge) servicePorts(t *testing.T, name string, ports []kubeapi.ServicePort, annotations map[string]string, pods map[string][]*edgetest.Pod) {
	t.Helper()
	svc := edgetest.Service(name, annotations)
	svc.Affinity, svc.Ports = "ClientIP", ports
	must(t, e.Cluster.PutService(svc))
	for port, list := range pods {
		for _, p := range list {
			must(t, e.Cluster.SetSlice(kubeapi.EndpointSlice{
				Key: kubeapi.Key{Namespace: edgetest.Namespace, Name: name + "-" + port + "-" + p.Name}, Service: name, AddressType: "IPv4",
				Ports:     []kubeapi.EndpointPort{{Name: port, Protocol: "TCP", Port: p.Addr.Port()}},
				Endpoints: []kubeapi.Endpoint{{Addr: p.Addr.Addr(), Ready: true, Serving: true}},
			}))
		}
	}
}

// curl sends a request to the edge by curl, and returns the output.
func (e *tlsEdge) curl(t *testing.T, host string, args ...string) (string, error) {
	port := fmt.Sprint(e.https.Port())
	args = append([]string{"-sSk", "--max-time", "10", "--connect-to", host + ":443:" + e.https.Addr().String() + ":" + port}, args...)
	out, err := exec.CommandContext(t.Context(), "curl", append(args, "https://"+host+"/")...).CombinedOutput()
	return string(out), err
}
