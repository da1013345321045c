// SPDX-License-Identifier: Apache-2.0

// Package realapi runs a real control plane for tests: etcd, kube-apiserver and the
// controllers that make EndpointSlices, from the binary that testdata/kubernetes/build.sh
// prints.
//
// It has no kubelet and no scheduler: a test writes Pods and their status itself.
package realapi

import (
	"context"
	"crypto/ecdsa"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// URL is the URL of the API server, and Addr its address. The test has a network
// namespace of its own, so the port is free.
const (
	URL  = "https://" + Addr
	Addr = "127.0.0.1:6443"
)

// Config changes a Cluster; the zero value is the usual one.
type Config struct {
	ServerFlags []string // of kube-apiserver; the last one of a name counts
	Controllers []string // in addition to those for EndpointSlices and garbage collection
}

// Cluster is a control plane. Its methods are called by one goroutine at a time;
// Admin may be used concurrently.
type Cluster struct {
	Admin *Client // in group system:masters

	t      TB     // its processes end with it
	binary string // testdata/kubernetes
	folder string // logs, keys and etcd's data
	config Config
	issuer *ecdsa.PrivateKey // signs the tokens

	etcd, server, controllers *Process
}

// Start starts a control plane that lives as long as the test. It returns when
// the API server is ready.
func Start(t TB, binary string, config Config) *Cluster {
	t.Helper()
	c := &Cluster{t: t, binary: binary, folder: t.TempDir(), config: config}
	c.Admin = c.credentials(t)
	c.StartEtcd(t)
	c.StartServer(t)
	node := Object{"apiVersion": "v1", "kind": "Node", "metadata": Object{"name": NodeName}}
	if err := c.Admin.Create(t.Context(), "/api/v1/nodes", node); err != nil {
		t.Fatal(err)
	}
	return c
}

// Binary returns the absolute path of the program that an environment variable
// names; "make conformance" sets it.
func Binary(t TB, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set (run \"make conformance\")", variable)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return path
}

// CAFile returns the path of the CA that signed the API server's certificate.
func (c *Cluster) CAFile() string { return c.file("ca.crt") }

// Kubeconfig returns the path of the administrator's kubeconfig. The certificate,
// admin.crt, and its key, admin.key, are in the same folder.
func (c *Cluster) Kubeconfig() string { return c.file("admin.kubeconfig") }

func (c *Cluster) file(name string) string { return filepath.Join(c.folder, name) }

// StartServer starts kube-apiserver, with further flags for this one time, waits
// until it is ready and starts the controllers. The objects in etcd are kept.
func (c *Cluster) StartServer(t TB, flags ...string) {
	t.Helper()
	args := []string{
		"kube-apiserver",
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1", "--secure-port=6443",
		// There is no default route to derive this address from; nothing listens there.
		"--advertise-address=10.200.255.254", "--external-hostname=127.0.0.1", "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.201.0.0/16",
		"--tls-cert-file=" + c.file("admin.crt"), "--tls-private-key-file=" + c.file("admin.key"),
		"--client-ca-file=" + c.file("ca.crt"),
		"--authorization-mode=RBAC", "--anonymous-auth=false",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file("accounts.key"),
		"--service-account-signing-key-file=" + c.file("accounts.key"),
		// Pods here mount nothing and need not wait for their namespace's account.
		"--disable-admission-plugins=ServiceAccount",
	}
	args = append(append(args, c.config.ServerFlags...), flags...)
	c.server = StartProcess(c.t, c.folder, "kube-apiserver", c.binary, args...)

	c.waitReady(t)
	// The garbage collector deletes the slices of a deleted Service.
	controllers := append([]string{"endpointslice-controller", "garbage-collector-controller"}, c.config.Controllers...)
	c.controllers = StartProcess(c.t, c.folder, "kube-controller-manager", c.binary, "kube-controller-manager",
		"--kubeconfig="+c.file("admin.kubeconfig"),
		"--controllers="+strings.Join(controllers, ","),
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--leader-elect=false", "--secure-port=0")
}

func (c *Cluster) waitReady(t TB) {
	t.Helper()
	began := time.Now()
	for tick := time.NewTicker(100 * time.Millisecond); ; <-tick.C {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err := c.Admin.Do(ctx, http.MethodGet, "/readyz", "", nil, nil)
		cancel()
		switch {
		case err == nil:
			t.Logf("    the API server is ready after %v", time.Since(began).Round(time.Millisecond))
			return
		case !c.server.Running():
			t.Fatalf("kube-apiserver ended: %v", c.server.cmd.ProcessState)
		case time.Since(began) > 2*time.Minute:
			t.Fatalf("kube-apiserver is not ready: %v", err)
		}
	}
}

// KillServer ends kube-apiserver like a crash. The controllers end with it: otherwise they
// would reconnect late, and the test would wait for them.
func (c *Cluster) KillServer(t TB) {
	t.Helper()
	for _, p := range []*Process{c.server, c.controllers} {
		if err := p.Stop(syscall.SIGKILL, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

// StopServer ends kube-apiserver like systemd: after SIGTERM it continues running watches
// for up to a minute, and it is killed after patience. The controllers end before it.
func (c *Cluster) StopServer(t TB, patience time.Duration) {
	t.Helper()
	if err := c.controllers.Stop(syscall.SIGKILL, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := c.server.Stop(syscall.SIGTERM, patience); err != nil {
		c.KillServer(t)
	}
	t.Logf("    the API server has ended after %v", time.Since(began).Round(time.Millisecond))
}
