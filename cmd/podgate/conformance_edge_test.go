//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// operatorURL is a section of the operator's own, which podgate never touches.
const operatorURL = "http://127.0.0.1:8404/"

// baseConfig is the operator's haproxy.cfg: what podgate's folder is added to. The
// group is podgate's.
const baseConfig = `global
    stats socket %s mode 660 gid %d level admin expose-fd listeners
    log %s len 4096 format rfc3164 local0
    maxconn 2000

defaults
    mode http
    timeout connect 5s
    timeout client  30s
    timeout server  30s

frontend operator
    bind 127.0.0.1:8404
    http-request return status 200 content-type text/plain string operator
`

// podgateConfig is podgate.toml; toml fills it in.
const podgateConfig = `[kubernetes]
server = %q
ca_file = %q
token_file = %q
namespaces = %s

[haproxy]
folder = %q
admin_socket = %q
master_socket = %q
config = [%q]
binary = %q
reload_interval = "1s"

[http]
bind = [%q]

[tcp]
allowed_ports = ["5432", "7000-7100"]

[admin]
listen = []
socket = ""
history = ""
`

// edge is the box that stands before the cluster: a real HAProxy and podgate.
type edge struct {
	folder  string
	program []string // podgate, and what runs it
	log     *haproxyLog
	haproxy *realapi.Process
	podgate *realapi.Process // the running or the last one

	mu   sync.Mutex
	pids []string // of HAProxy's workers, in the order they were seen
}

// startEdge writes the configuration of both and starts HAProxy, with nothing of
// podgate's in it yet.
func startEdge(t *testing.T, podgate string, c *realapi.Cluster) *edge {
	t.Helper()
	haproxy, err := haproxytest.Binary()
	if err != nil {
		t.Fatalf("%v (install haproxy)", err)
	}
	e := &edge{folder: t.TempDir(), program: []string{podgate}, log: newHAProxyLog(t, "127.0.0.1:0")}
	if err := os.Mkdir(e.file("conf"), 0o755); err != nil {
		t.Fatal(err)
	}
	e.write(t, "base.cfg", fmt.Sprintf(baseConfig, e.file("admin.sock"), os.Getgid(), e.log.addr()))
	e.write(t, "token", c.Token(t, "podgate", "podgate"))
	e.write(t, "podgate.toml", e.toml(realapi.URL, c.CAFile(), haproxy, fmt.Sprintf("127.0.0.1:%d", httpPort), "bank", "shop"))

	e.haproxy = realapi.StartProcess(t, e.folder, "haproxy", haproxy,
		"-W", "-S", e.file("master.sock"), "-f", e.file("base.cfg"), "-f", e.file("conf"))
	e.awaitHAProxy(t)
	go e.watchPids(t.Context())
	return e
}

// toml is podgate.toml that has the HTTP frontend on bind.
func (e *edge) toml(server, caFile, binary, bind string, namespaces ...string) string {
	return fmt.Sprintf(podgateConfig, server, caFile, e.file("token"), `["`+strings.Join(namespaces, `", "`)+`"]`,
		e.file("conf"), e.file("admin.sock"), e.file("master.sock"), e.file("base.cfg"), binary, bind)
}

// awaitHAProxy waits until a worker answers.
func (e *edge) awaitHAProxy(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); e.pid() == ""; pause(t.Context(), 20*time.Millisecond) {
		if time.Now().After(deadline) || !e.haproxy.Running() {
			t.Fatalf("HAProxy does not answer:\n%s", e.haproxy.Tail(10))
		}
	}
}

func (e *edge) file(name string) string { return filepath.Join(e.folder, name) }

func (e *edge) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(e.file(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startPodgate starts podgate; it may not be connected to anything yet.
func (e *edge) startPodgate(t *testing.T) {
	t.Helper()
	args := append(slices.Clone(e.program), "run", "--config", e.file("podgate.toml"))
	e.podgate = realapi.StartProcess(t, e.folder, "podgate", args[0], args[1:]...)
}

// stopPodgate ends podgate as systemd does.
func (e *edge) stopPodgate(t *testing.T) {
	t.Helper()
	if err := e.podgate.Stop(syscall.SIGTERM, 15*time.Second); err != nil {
		t.Fatal(err)
	}
	if code := e.podgate.State().ExitCode(); code != 0 {
		t.Errorf("podgate ended after SIGTERM with: %v", e.podgate.State())
	}
}

// podgateFile returns what podgate wrote for HAProxy.
func (e *edge) podgateFile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(e.file("conf"), "podgate.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// command asks HAProxy over its admin socket.
func (e *edge) command(line string) (string, error) {
	conn, err := net.DialTimeout("unix", e.file("admin.sock"), 2*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// pid returns the Pid of the worker that answers, "" where none does.
func (e *edge) pid() string {
	answer, err := e.command("show info")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(answer) {
		if pid, ok := strings.CutPrefix(line, "Pid: "); ok {
			return strings.TrimSpace(pid)
		}
	}
	return ""
}

// watchPids notes every worker until ctx ends.
func (e *edge) watchPids(ctx context.Context) {
	for ctx.Err() == nil {
		e.notePid()
		pause(ctx, 100*time.Millisecond)
	}
}

// notePid notes the worker that answers now.
func (e *edge) notePid() {
	pid := e.pid()
	e.mu.Lock()
	defer e.mu.Unlock()
	if pid != "" && !slices.Contains(e.pids, pid) {
		e.pids = append(e.pids, pid)
	}
}

// reloads returns how often a new worker was seen.
func (e *edge) reloads() int {
	e.notePid()
	e.mu.Lock()
	defer e.mu.Unlock()
	return max(0, len(e.pids)-1)
}

// quiet waits until no reload was seen for a while, and returns their number.
func (e *edge) quiet(ctx context.Context) int {
	n, since := e.reloads(), time.Now()
	for time.Since(since) < 3*time.Second && ctx.Err() == nil {
		pause(ctx, 50*time.Millisecond)
		if now := e.reloads(); now != n {
			n, since = now, time.Now()
		}
	}
	return n
}

// servers returns the state of each server, by backend and name, as HAProxy shows
// it: operational, administrative and weight.
func (e *edge) servers(t *testing.T) map[string]string {
	t.Helper()
	answer, err := e.command("show servers state")
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for line := range strings.Lines(answer) {
		f := strings.Fields(line)
		if len(f) > 8 && f[0] != "#" {
			states[f[1]+"/"+f[3]] = fmt.Sprintf("op=%s admin=%s weight=%s", f[5], f[6], f[7])
		}
	}
	return states
}

// backendServers returns the servers of a Service's backends, without those that
// are in maintenance because they are about to be deleted.
func (e *edge) backendServers(t *testing.T, namespace, service string) []string {
	t.Helper()
	var names []string
	states := e.servers(t)
	for _, name := range slices.Sorted(maps.Keys(states)) {
		backend, server, _ := strings.Cut(name, "/")
		if strings.HasPrefix(backend, namespace+"_"+service+"_") && !strings.Contains(states[name], "admin=1 ") {
			names = append(names, server)
		}
	}
	return names
}

// haproxyLog keeps the last lines that HAProxy logged.
type haproxyLog struct {
	conn net.PacketConn

	mu    sync.Mutex
	lines [10_000]string // a ring
	next  int
}

func newHAProxyLog(t *testing.T, addr string) *haproxyLog {
	t.Helper()
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l := &haproxyLog{conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.read()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return l
}

func (l *haproxyLog) addr() string { return l.conn.LocalAddr().String() }

func (l *haproxyLog) read() {
	packet := make([]byte, 8192)
	for {
		n, _, err := l.conn.ReadFrom(packet)
		if err != nil {
			return // closed
		}
		l.mu.Lock()
		l.lines[l.next%len(l.lines)] = strings.TrimSpace(string(packet[:n]))
		l.next++
		l.mu.Unlock()
	}
}

// find returns the newest line that holds text, "" without one.
func (l *haproxyLog) find(text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := l.next - 1; i >= max(0, l.next-len(l.lines)); i-- {
		if line := l.lines[i%len(l.lines)]; strings.Contains(line, text) {
			return line
		}
	}
	return ""
}
