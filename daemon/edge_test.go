// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/daemon"
	"podgate/daemon/edgetest"
	"podgate/haproxy"
	"podgate/haproxy/haproxytest"
)

// edge is an edgetest.Edge whose methods fail the test on errors.
type edge struct {
	*edgetest.Edge
	errorFiles string                     // folder of haproxy.error_files
	resync     time.Duration              // resync_interval, shorter than podgate.toml allows; zero uses podgate.toml's
	hurry      bool                       // health is polled often, and problems are reported immediately
	classes    int                        // number of Services that serviceWithReload created
	pods       map[string][]*edgetest.Pod // by Service
}

// newEdge starts everything but podgate, until the end of the test.
func newEdge(t *testing.T) *edge {
	t.Helper()
	return newEdgeIn(t, newCluster(t), haproxytest.Options{})
}

func newCluster(t *testing.T) *edgetest.Cluster {
	t.Helper()
	c, err := edgetest.StartCluster()
	must(t, err)
	t.Cleanup(c.Stop)
	return c
}

// newEdgeIn is newEdge in a cluster that may have other edges.
func newEdgeIn(t *testing.T, c *edgetest.Cluster, o haproxytest.Options) *edge {
	t.Helper()
	haproxytest.Need(t)
	opened, err := edgetest.OpenEdge(t.Context(), c, edgetest.Options{HAProxy: o})
	must(t, err)
	e := &edge{Edge: opened, errorFiles: filepath.Join(opened.Folder, "errors"), pods: map[string][]*edgetest.Pod{}}
	t.Cleanup(func() {
		e.stop(t)
		if t.Failed() {
			t.Logf("podgate's log:\n%s\nHAProxy's log:\n%s", e.Log, e.HAProxy.Log())
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	e.Prepare = func(d *daemon.Daemon) {
		if e.hurry {
			d.Hurry()
		}
		if e.resync > 0 {
			d.Config.Kubernetes.ResyncInterval = e.resync
		}
	}
	must(t, os.Mkdir(e.errorFiles, 0o755))
	e.Set("kubernetes.poll_interval", "1s")
	e.Set("haproxy.error_files", e.errorFiles)
	e.set(t, "haproxy.reload_interval", "100ms")
	return e
}

// must fails the test with err.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// receive returns the next value of a channel. The test fails if no value arrives in time.
func receive[T any](t *testing.T, values <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-values:
	case <-time.After(15 * time.Second):
		t.Fatal("nothing was received")
	}
	return value
}

// need returns the path of a program. Without it the test is skipped, or fails if
// $CI is set.
func need(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatalf("find %s: %v (apt-get install %s)", program, err, debianPackage)
	case err != nil:
		t.Skipf("%s is not installed (apt-get install %s)", program, debianPackage)
	}
	return path
}

// eventually waits until ok returns nil, and fails with its last error.
func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	must(t, edgetest.Await(t.Context(), what, ok))
}

// awaitThat waits until ok returns true.
func awaitThat(t *testing.T, what string, ok func() bool) {
	t.Helper()
	eventually(t, what, func() error {
		if !ok() {
			return errors.New("this did not happen")
		}
		return nil
	})
}

func (e *edge) freeAddr(t *testing.T) netip.AddrPort {
	t.Helper()
	addr, err := e.HAProxy.FreeAddr()
	must(t, err)
	return addr
}

// configure writes podgate.toml, with more sections at its end.
func (e *edge) configure(t *testing.T, more string) {
	t.Helper()
	must(t, e.Configure(more))
}

// set writes podgate.toml with one more key, or with another value of a key.
func (e *edge) set(t *testing.T, key string, value any) {
	t.Helper()
	e.Set(key, value)
	e.configure(t, "")
}

// start runs podgate until stop or the end of the test.
func (e *edge) start(t *testing.T) {
	t.Helper()
	must(t, e.Start())
}

func (e *edge) stop(t *testing.T) {
	t.Helper()
	if err := e.Stop(); err != nil {
		t.Errorf("run: %v", err)
	}
}

// serveCart starts podgate with one Service, cart, of one pod, and waits until HAProxy
// serves it.
func (e *edge) serveCart(t *testing.T) {
	t.Helper()
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
}

// newPod starts a pod until the end of the test. Its name without the last part is the
// name of its Service.
func newPod(t *testing.T, name string) *edgetest.Pod {
	t.Helper()
	return newPodOf(t, edgetest.PodOptions{Name: name})
}

func newPodOf(t *testing.T, o edgetest.PodOptions) *edgetest.Pod {
	t.Helper()
	p, err := edgetest.StartPod(o)
	must(t, err)
	t.Cleanup(p.Close)
	return p
}

// service creates or replaces a Service and its pods.
func (e *edge) service(t *testing.T, name string, annotations map[string]string, pods ...*edgetest.Pod) {
	t.Helper()
	must(t, e.Cluster.PutService(edgetest.Service(name, annotations)))
	e.endpoints(t, name, pods...)
}

// endpoints replaces the Service's pods.
func (e *edge) endpoints(t *testing.T, name string, pods ...*edgetest.Pod) {
	t.Helper()
	e.pods[name] = pods
	must(t, e.Cluster.SetEndpoints(name, edgetest.Ready(pods...)...))
}

func (e *edge) awaitAnswer(t *testing.T, host, path, want string) {
	t.Helper()
	must(t, e.AwaitAnswer(t.Context(), host, path, want))
}

func (e *edge) awaitServers(t *testing.T, backend string, pods ...*edgetest.Pod) {
	t.Helper()
	must(t, e.AwaitServers(t.Context(), backend, pods...))
}

func (e *edge) awaitReloads(t *testing.T, want ...string) {
	t.Helper()
	must(t, e.AwaitReloads(t.Context(), want...))
}

// checkOneReload fails the test if podgate has reloaded HAProxy since its first reload.
func (e *edge) checkOneReload(t *testing.T) {
	t.Helper()
	if got := e.Reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want only the first", got)
	}
}

// checkPid fails the test if HAProxy's worker is another process than before.
func (e *edge) checkPid(t *testing.T, before int) {
	t.Helper()
	if got := e.HAProxy.Pid(); got != before {
		t.Errorf("HAProxy was reloaded: %q", e.Reloads())
	}
}

// awaitStates waits until the servers of a backend have these states, sorted.
func (e *edge) awaitStates(t *testing.T, backend string, want ...haproxy.ServerState) {
	t.Helper()
	eventually(t, "servers of "+backend, func() error {
		servers, err := e.Runtime.OwnServers(t.Context(), []string{backend})
		got := []haproxy.ServerState{}
		for _, s := range servers[backend] {
			got = append(got, s.State)
		}
		slices.Sort(got)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("states %v, want %v", got, want)
		}
		return err
	})
}

func (e *edge) awaitLog(t *testing.T, want string) {
	t.Helper()
	must(t, e.AwaitLog(t.Context(), want))
}

// awaitLogCount waits until podgate's log contains a text so many times.
func (e *edge) awaitLogCount(t *testing.T, text string, times int) {
	t.Helper()
	eventually(t, "the log", func() error {
		if got := strings.Count(e.Log.String(), text); got != times {
			return fmt.Errorf("%d lines with %q, want %d", got, text, times)
		}
		return nil
	})
}

// awaitFile waits until a file of HAProxy's folder contains text.
func (e *edge) awaitFile(t *testing.T, name, text string) {
	t.Helper()
	eventually(t, name, func() error {
		content, err := os.ReadFile(filepath.Join(e.HAProxy.Folder, name))
		if err == nil && !strings.Contains(string(content), text) {
			err = fmt.Errorf("no %q in\n%s", text, content)
		}
		return err
	})
}

// command sends a command to HAProxy's admin socket, and returns the reply.
func (e *edge) command(t *testing.T, command string) string {
	t.Helper()
	return ask(t, e.HAProxy.Admin, command)
}

// ask sends a command to a socket of HAProxy.
func ask(t *testing.T, socket, command string) string {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	must(t, err)
	defer conn.Close()
	fmt.Fprintln(conn, command)
	reply, err := io.ReadAll(conn)
	must(t, err)
	return string(reply)
}

// restartHAProxy restarts HAProxy with the files that are in its folder.
func (e *edge) restartHAProxy(t *testing.T) {
	t.Helper()
	must(t, e.HAProxy.Restart(t.Context()))
}

// load is clients that send requests without pause, until the end of the test or check.
type load struct{ *edgetest.Load }

// startLoad starts clients of the HTTP frontend that request these paths. The first
// segment of a path is the name of its Service.
func (e *edge) startLoad(t *testing.T, paths ...string) load {
	t.Helper()
	return startLoadAt(t, e.HTTP, paths...)
}

func startLoadAt(t *testing.T, addr netip.AddrPort, paths ...string) load {
	t.Helper()
	var targets []edgetest.Target
	for _, path := range paths {
		service, _, _ := strings.Cut(path[1:], "/")
		targets = append(targets, edgetest.Target{Service: service, Request: edgetest.Request{Addr: addr, Path: path}, Strip: "/" + service})
	}
	return startLoadOf(t, targets...)
}

func startLoadOf(t *testing.T, targets ...edgetest.Target) load {
	t.Helper()
	l := load{edgetest.StartLoad(edgetest.LoadOptions{})}
	t.Cleanup(func() { l.Stop() })
	for _, target := range targets {
		_, err := l.Add(t.Context(), target)
		must(t, err)
	}
	return l
}

// check stops the clients, and fails the test if a request failed.
func (l load) check(t *testing.T) {
	t.Helper()
	r := l.Stop()
	t.Log(r)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	for _, f := range r.Failures {
		t.Log(f)
	}
}
