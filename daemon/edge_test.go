// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"podgate/daemon"
	"podgate/daemon/admin"
	"podgate/daemon/config"
	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// town is a whole edge: a fake API server, a real HAProxy, and podgate's loop
// between them.
type town struct {
	t       *testing.T
	api     *kubeapitest.Server
	haproxy *haproxytest.HAProxy
	runtime *runtime.Client
	http    netip.AddrPort // of the HTTP frontend
	relay   netip.AddrPort // http.relay of podgate.toml
	toml    string         // path of podgate.toml
	log     *logBuffer
	hangup  chan os.Signal // what podgate takes for SIGHUP
	errors  string         // haproxy.error_files of podgate.toml
	reloads time.Duration  // haproxy.reload_interval of podgate.toml
	resync  time.Duration  // shorter than podgate.toml may have it; zero leaves that
	socket  string         // podgate's control socket
	page    netip.AddrPort // podgate's status page; invalid for none
	hurry   bool           // health is asked for often, and problems are told at once
	stop    func()
	told    func() // begins stop, and does not wait
	classes int    // of backends that reloading made up
	passes  *passes
	slices  map[string]map[string]bool // names, by Service
	pods    map[string][]*pod          // by Service
}

// newTown starts all but podgate.
func newTown(t *testing.T) *town {
	tw := &town{t: t, api: kubeapitest.Run(t), haproxy: haproxytest.Run(t, haproxytest.Options{}), log: new(logBuffer), hangup: make(chan os.Signal), errors: t.TempDir(), reloads: 100 * time.Millisecond, passes: new(passes), slices: map[string]map[string]bool{}, pods: map[string][]*pod{}, stop: func() {}}
	tw.runtime = runtime.New(tw.haproxy.Admin, tw.haproxy.Master, tw.haproxy.Folder)
	tw.http, tw.relay = tw.freeAddr(), tw.freeAddr()
	tw.socket = filepath.Join(filepath.Dir(tw.haproxy.Base), "podgate.sock") // a short path
	tw.toml = filepath.Join(t.TempDir(), "podgate.toml")
	tw.configure("")
	t.Cleanup(func() {
		tw.stop()
		if t.Failed() {
			t.Logf("podgate's log:\n%s", tw.log)
		}
	})
	return tw
}

func (tw *town) freeAddr() netip.AddrPort {
	tw.t.Helper()
	addr, err := tw.haproxy.FreeAddr()
	if err != nil {
		tw.t.Fatal(err)
	}
	return addr
}

// configure writes podgate.toml, with more at its end.
func (tw *town) configure(more string) {
	tw.t.Helper()
	text := fmt.Sprintf(`
[kubernetes]
server = %q
namespaces = ["shop"]
poll_interval = "1s"
%serror_files = %q
reload_interval = %q
[http]
bind = [%q]
relay = %q
%s`, tw.api.URL(), tw.haproxy.Section(), tw.errors, tw.reloads.String(), tw.http, tw.relay, more)
	if err := os.WriteFile(tw.toml, []byte(text), 0o600); err != nil {
		tw.t.Fatal(err)
	}
}

// start runs podgate until stop or the end of the test.
func (tw *town) start() {
	tw.t.Helper()
	c, err := config.Load(tw.toml)
	if err != nil {
		tw.t.Fatal(err)
	}
	c.Kubernetes.ResyncInterval = cmp.Or(tw.resync, c.Kubernetes.ResyncInterval)
	ctx, cancel := context.WithCancel(context.Background())
	passed := make(chan daemon.Pass)
	log := slog.New(slog.NewTextHandler(tw.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.Admin = config.Admin{Socket: tw.socket, History: tw.history()}
	if tw.page.IsValid() {
		c.Admin.Listen = []netip.AddrPort{tw.page}
	}
	d := &daemon.Daemon{
		ConfigFile: tw.toml, Config: c, Version: "test", Passes: passed, Hangup: tw.hangup, Log: log, Admin: admin.New(c.Admin, log),
	}
	if tw.hurry {
		d.Hurry()
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := d.Run(ctx); err != nil {
			tw.t.Errorf("run: %v", err)
		}
		close(passed)
	})
	running.Go(func() {
		for p := range passed {
			tw.passes.add(p)
		}
	})
	tw.told = cancel
	tw.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
}

func (tw *town) history() string { return filepath.Join(filepath.Dir(tw.toml), "history.json") }

// passes collects what podgate says it did.
type passes struct {
	mu  sync.Mutex
	all []daemon.Pass
}

func (p *passes) add(pass daemon.Pass) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, pass)
}

// reloads are the reasons of all reloads so far, a reload each.
func (p *passes) reloads() (reasons []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pass := range p.all {
		if len(pass.Reload) > 0 {
			reasons = append(reasons, pass.Reload.String())
		}
	}
	return reasons
}

// drift is how much of it was found so far.
func (p *passes) drift() (count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pass := range p.all {
		count += pass.Drift
	}
	return count
}

// logBuffer is a log that is read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// eventually waits until ok says so, and fails with its last reason.
func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// pod is a real HTTP server at an address of its own.
type pod struct {
	addr   netip.AddrPort
	name   string
	active atomic.Int64
	server *http.Server
}

var podNumber atomic.Uint32 // addresses are unique in the test binary

func newPod(t *testing.T, name string) *pod { return newPodOn(t, name, 0) }

// listenAsPod takes an address that no other pod has.
func listenAsPod(t *testing.T, port uint16) net.Listener {
	t.Helper()
	n := podNumber.Add(1)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.77.%d.%d:%d", n>>8, n&0xff, port))
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// newPodOn is newPod on a port, or on any that is free for zero.
func newPodOn(t *testing.T, name string, port uint16) *pod {
	t.Helper()
	listener := listenAsPod(t, port)
	p := &pod{addr: netip.MustParseAddrPort(listener.Addr().String()), name: name}
	p.server = &http.Server{Handler: p}
	go p.server.Serve(listener)
	t.Cleanup(func() { p.server.Close() })
	return p
}

func (p *pod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.active.Add(1)
	defer p.active.Add(-1)
	if r.Header.Get("Upgrade") == "echo" {
		p.echo(w)
		return
	}
	if d, err := time.ParseDuration(r.URL.Query().Get("sleep")); err == nil {
		time.Sleep(d)
	}
	w.Header().Set("Pod", p.name)
	fmt.Fprintf(w, "%s %s\n", p.name, r.URL.Path)
}

// echo answers each line with itself, for as long as the client likes.
func (p *pod) echo(w http.ResponseWriter) {
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	io.Copy(conn, stream)
}

// service puts a Service and its pods into the cluster.
func (tw *town) service(name string, annotations map[string]string, pods ...*pod) {
	tw.t.Helper()
	prefixed := map[string]string{}
	for k, v := range annotations {
		prefixed["serviceloadbalancer/lb."+k] = v
	}
	err := tw.api.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "shop", Name: name}, Type: "ClusterIP", Annotations: prefixed,
		Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
	})
	if err != nil {
		tw.t.Fatal(err)
	}
	tw.endpoints(name, pods...)
}

// endpoints replaces the Service's pods. A slice has one port for all, so each
// pod has a slice of its own, as pods with different ports do.
func (tw *town) endpoints(name string, pods ...*pod) {
	tw.t.Helper()
	wanted := map[string]bool{}
	for _, p := range pods {
		key := kubeapi.Key{Namespace: "shop", Name: name + "-" + p.name}
		wanted[key.Name] = true
		err := tw.api.SetSlice(kubeapi.EndpointSlice{
			Key: key, Service: name, AddressType: "IPv4",
			Ports:     []kubeapi.EndpointPort{{Name: "web", Protocol: "TCP", Port: p.addr.Port()}},
			Endpoints: []kubeapi.Endpoint{{Addr: p.addr.Addr(), Ready: true, Serving: true}},
		})
		if err != nil {
			tw.t.Fatal(err)
		}
	}
	for old := range tw.slices[name] {
		if !wanted[old] {
			tw.api.Delete("EndpointSlice", "shop", old)
		}
	}
	tw.slices[name], tw.pods[name] = wanted, pods
}

// get asks the HTTP frontend.
func (tw *town) get(host, path string) (status int, body string, err error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return tw.ask(client, host, "http://"+tw.http.String()+path)
}

// ask asks an address of the edge for a host.
func (tw *town) ask(client *http.Client, host, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(tw.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(text)), err
}

// awaitAnswer waits until host and path answer with body.
func (tw *town) awaitAnswer(host, path, want string) {
	tw.t.Helper()
	tw.await("http", host, path, want, tw.get)
}

func (tw *town) await(scheme, host, path, want string, get func(host, path string) (int, string, error)) {
	tw.t.Helper()
	eventually(tw.t, scheme+"://"+host+path, func() error {
		status, body, err := get(host, path)
		if err != nil {
			return err
		}
		if got := fmt.Sprintf("%d %s", status, body); got != want {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
}
