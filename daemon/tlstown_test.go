// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

// tlsTown is a town whose edge ends TLS.
type tlsTown struct {
	*town
	https      netip.AddrPort
	folder     string // of certificates
	httpsRelay netip.AddrPort
	inner      netip.AddrPort
}

// newTLSTown starts all but podgate. More is written into [https].
func newTLSTown(t *testing.T, more ...string) *tlsTown {
	tw := newTown(t).ending()
	tw.setHTTPS(more...)
	return tw
}

// ending is the town with all that it takes to end TLS, which setHTTPS begins.
func (tw *town) ending() *tlsTown {
	return &tlsTown{town: tw, folder: tw.t.TempDir(), https: tw.freeAddr(), httpsRelay: tw.freeAddr(), inner: tw.freeAddr()}
}

// setHTTPS writes podgate.toml.
func (tw *tlsTown) setHTTPS(more ...string) {
	tw.t.Helper()
	tw.configure(fmt.Sprintf("[https]\nbind = [%q]\ncertificates = [%q]\nrelay = %q\ninner = %q\n%s\n",
		tw.https, tw.folder, tw.httpsRelay, tw.inner, strings.Join(more, "\n")))
}

// certify puts a new certificate for names in the folder, at once.
func (tw *tlsTown) certify(file string, names ...string) {
	tw.t.Helper()
	tw.put(file, haproxytest.Certificate(tw.t, names...))
}

// put writes a file of the folder as a careful writer does.
func (tw *tlsTown) put(file string, text []byte) {
	tw.t.Helper()
	path := filepath.Join(tw.folder, file)
	if err := errors.Join(os.WriteFile(path+".tmp", text, 0o600), os.Rename(path+".tmp", path)); err != nil {
		tw.t.Fatal(err)
	}
}

// shows is the common name that a handshake for a host shows, or its error.
func (tw *tlsTown) shows(host string) string {
	conn, err := tls.Dial("tcp", tw.https.String(), &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// awaitCertificate waits until a handshake for a host shows the common name.
func (tw *tlsTown) awaitCertificate(host, want string) {
	tw.t.Helper()
	eventually(tw.t, "certificate of "+host, func() error {
		if got := tw.shows(host); got != want {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
}

const unknownName = "remote error: tls: unrecognized name"

// client asks the TLS frontend whatever the host is.
func (tw *tlsTown) client(configure func(*tls.Config)) *http.Client {
	c := &tls.Config{InsecureSkipVerify: true}
	if configure != nil {
		configure(c)
	}
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	dialer := &net.Dialer{}
	transport.DialContext = dialer.DialContext
	return &http.Client{Timeout: 10 * time.Second, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// getTLS asks the TLS frontend for a host, which is SNI and Host.
func (tw *tlsTown) getTLS(host, path string) (status int, body string, err error) {
	client := tw.client(func(c *tls.Config) { c.ServerName = host })
	defer client.CloseIdleConnections()
	return tw.ask(client, host, "https://"+tw.https.String()+path)
}

func (tw *tlsTown) awaitTLSAnswer(host, path, want string) {
	tw.t.Helper()
	tw.await("https", host, path, want, tw.getTLS)
}

// newTLSPod is a pod that speaks TLS, with a certificate of its own that nobody
// knows.
func newTLSPod(t *testing.T, name string) *pod {
	p := newPod(t, name)
	plain := p.server
	listener, err := net.Listen("tcp", net.JoinHostPort(p.addr.Addr().String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := plain.Close(); err != nil {
		t.Fatal(err)
	}
	pem := haproxytest.Certificate(t, name+".pod")
	pair, err := tls.X509KeyPair(pem, pem)
	if err != nil {
		t.Fatal(err)
	}
	p.addr = netip.MustParseAddrPort(listener.Addr().String())
	p.server = &http.Server{Handler: p, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go p.server.ServeTLS(listener, "", "")
	t.Cleanup(func() { p.server.Close() })
	return p
}

// serve puts a Service with these ports into the cluster, whose clients stick by
// their address, and for each port the pods of its name.
func (tw *tlsTown) serve(name string, ports []kubeapi.ServicePort, annotations map[string]string, pods map[string][]*pod) {
	tw.t.Helper()
	prefixed := map[string]string{}
	for k, v := range annotations {
		prefixed["serviceloadbalancer/lb."+k] = v
	}
	if err := tw.api.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "shop", Name: name}, Type: "ClusterIP", Affinity: "ClientIP", Annotations: prefixed, Ports: ports,
	}); err != nil {
		tw.t.Fatal(err)
	}
	for port, list := range pods {
		for _, p := range list {
			if err := tw.api.SetSlice(kubeapi.EndpointSlice{
				Key: kubeapi.Key{Namespace: "shop", Name: name + "-" + port + "-" + p.name}, Service: name, AddressType: "IPv4",
				Ports:     []kubeapi.EndpointPort{{Name: port, Protocol: "TCP", Port: p.addr.Port()}},
				Endpoints: []kubeapi.Endpoint{{Addr: p.addr.Addr(), Ready: true, Serving: true}},
			}); err != nil {
				tw.t.Fatal(err)
			}
		}
	}
}

// curl asks the edge as a user would, and returns what it prints.
func (tw *tlsTown) curl(host string, args ...string) (string, error) {
	port := fmt.Sprint(tw.https.Port())
	args = append([]string{"-sSk", "--max-time", "10", "--connect-to", host + ":443:" + tw.https.Addr().String() + ":" + port}, args...)
	out, err := exec.CommandContext(tw.t.Context(), "curl", append(args, "https://"+host+"/")...).CombinedOutput()
	return string(out), err
}

// need skips a test, or fails it where $CI is set, without a program.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no %s to test with", program)
		}
		t.Skipf("no %s to test with", program)
	}
}
