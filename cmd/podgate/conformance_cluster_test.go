//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// apiServer is where the API server listens. The network namespace is the
// test's own, so nobody else can have the port.
const apiServer = "https://127.0.0.1:6443"

// nodeName is the one Node: the endpointslice controller leaves out pods whose
// node does not exist.
const nodeName = "node-1"

// cluster is a control plane: etcd, kube-apiserver and those controllers that
// make EndpointSlices. There is no kubelet; see kubelet.
type cluster struct {
	binary string // testdata/kubernetes
	folder string // logs, keys and etcd's data
	admin  *api   // in group system:masters

	server, controllers *process
}

// startCluster starts a control plane that lives as long as the test.
func startCluster(t *testing.T, binary string) *cluster {
	t.Helper()
	c := &cluster{binary: binary, folder: t.TempDir()}
	c.admin = c.credentials(t)

	start(t, c.folder, "etcd", binary, "etcd",
		"--data-dir="+c.file("etcd"),
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=default=http://127.0.0.1:2380",
		"--unsafe-no-fsync", "--log-level=warn")
	c.startServer(t)
	node := object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": nodeName}}
	if err := c.admin.create(t.Context(), "/api/v1/nodes", node); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) file(name string) string { return filepath.Join(c.folder, name) }

// startServer starts kube-apiserver, waits until it is ready and starts the
// controllers. What etcd holds is there again.
func (c *cluster) startServer(t *testing.T) {
	t.Helper()
	c.server = start(t, c.folder, "kube-apiserver", c.binary, "kube-apiserver",
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=127.0.0.1", "--secure-port=6443",
		// There is no default route to guess this from; nothing listens there.
		"--advertise-address=10.200.255.254", "--external-hostname=127.0.0.1", "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.201.0.0/16",
		"--tls-cert-file="+c.file("server.crt"), "--tls-private-key-file="+c.file("server.key"),
		"--client-ca-file="+c.file("ca.crt"),
		"--authorization-mode=RBAC", "--anonymous-auth=false",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+c.file("accounts.key"),
		"--service-account-signing-key-file="+c.file("accounts.key"),
		// Pods here mount nothing and need not wait for their namespace's account.
		"--disable-admission-plugins=ServiceAccount")

	c.waitReady(t)
	c.controllers = start(t, c.folder, "kube-controller-manager", c.binary, "kube-controller-manager",
		"--kubeconfig="+c.file("admin.kubeconfig"),
		// The garbage collector takes the slices of a deleted Service away.
		"--controllers=endpointslice-controller,garbage-collector-controller",
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--leader-elect=false", "--secure-port=0")
}

func (c *cluster) waitReady(t *testing.T) {
	t.Helper()
	began := time.Now()
	deadline := began.Add(2 * time.Minute)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err := c.admin.do(ctx, http.MethodGet, "/readyz", "", nil, nil)
		cancel()
		switch {
		case err == nil:
			t.Logf("    the API server is ready after %v", time.Since(began).Round(time.Millisecond))
			return
		case !c.server.running():
			t.Fatalf("kube-apiserver ended: %v", c.server.cmd.ProcessState)
		case time.Now().After(deadline):
			t.Fatalf("kube-apiserver is not ready: %v", err)
		}
		pause(t.Context(), 100*time.Millisecond)
	}
}

// killServer ends kube-apiserver as a crash would. The controllers end with it:
// left alone they would come back late, and the test would wait for them.
func (c *cluster) killServer(t *testing.T) {
	t.Helper()
	for _, p := range []*process{c.server, c.controllers} {
		if err := p.stop(syscall.SIGKILL, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

// token asks for a token of podgate's ServiceAccount, as "kubectl create token"
// does.
func (c *cluster) token(t *testing.T) string {
	t.Helper()
	var answer struct {
		Status struct{ Token string }
	}
	err := c.admin.do(t.Context(), http.MethodPost, "/api/v1/namespaces/podgate/serviceaccounts/podgate/token", asJSON, object{
		"apiVersion": "authentication.k8s.io/v1",
		"kind":       "TokenRequest",
		"spec":       object{"expirationSeconds": 3600},
	}, &answer)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status.Token
}

// credentials writes the CA, the server's and the administrator's certificates,
// the key that signs the tokens and the controllers' kubeconfig.
func (c *cluster) credentials(t *testing.T) *api {
	t.Helper()
	ca := newAuthority(t)
	c.write(t, "ca.crt", ca.certPEM())
	server, serverKey := ca.issue(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	c.write(t, "server.crt", server)
	c.write(t, "server.key", serverKey)
	admin, adminKey := ca.issue(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	c.write(t, "admin.crt", admin)
	c.write(t, "admin.key", adminKey)
	_, accounts := newKey(t)
	c.write(t, "accounts.key", accounts)
	c.write(t, "admin.kubeconfig", fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: admin
clusters: [{name: test, cluster: {server: %q, certificate-authority: ca.crt}}]
users: [{name: admin, user: {client-certificate: admin.crt, client-key: admin.key}}]
contexts: [{name: admin, context: {cluster: test, user: admin}}]
`, apiServer))

	pair, err := tls.X509KeyPair(admin, adminKey)
	if err != nil {
		t.Fatal(err)
	}
	return &api{base: apiServer, http: ca.client(pair)}
}

func (c *cluster) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// as returns a client that asks with a token instead of the administrator's
// certificate.
func (c *cluster) as(t *testing.T, token string) *api {
	t.Helper()
	roots := x509.NewCertPool()
	text, err := os.ReadFile(c.file("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(text)
	return &api{base: apiServer, http: httpClient(&tls.Config{RootCAs: roots}), token: token}
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
