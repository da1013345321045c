// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
	"podgate/kubeapi/kubeapitest"
)

// town is an edge whose every connection and file can be harmed.
type town struct {
	*rand.Rand
	dir     string
	binary  string
	clock   string // what says how far the clock of binary is off; "" where it is the machine's
	toml    string
	text    []byte // of toml
	log     *os.File
	api     *kubeapitest.Server
	front   *proxy // before api
	admin   *proxy // before HAProxy's sockets, for podgate; the harness goes without
	master  *proxy
	haproxy *haproxytest.HAProxy
	runtime *runtime.Client
	http    netip.AddrPort
	pods    *pods
	disk    bool // folder is a file system of its own
	podgate *exec.Cmd

	cluster
	starts, haproxyStarts int

	current       atomic.Value // the name of the fault that is done
	sent, failed  atomic.Int64
	excused       atomic.Int64
	haproxyKilled atomic.Int64 // how often it was killed or came back: odd while it is down
	mu            sync.Mutex
	why           []string
	done          chan struct{} // closed to end the load
	loading       sync.WaitGroup
}

func openTown(ctx context.Context, binary string, r *rand.Rand) (*town, error) {
	t := &town{Rand: r, binary: binary, api: kubeapitest.New(), done: make(chan struct{})}
	t.current.Store("the start")
	if err := t.open(ctx); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *town) open(ctx context.Context) (err error) {
	if t.dir, err = os.MkdirTemp("", "podgate-chaos"); err != nil {
		return err
	}
	if t.binary == "" {
		t.clock = filepath.Join(t.dir, "clock")
		if t.binary, err = buildJumping(ctx, t.dir); err != nil {
			return err
		}
		if err := t.setClock(0); err != nil {
			return err
		}
	}
	if t.log, err = os.Create(filepath.Join(t.dir, "log")); err != nil {
		return err
	}
	if t.pods, err = startPods(); err != nil {
		return err
	}
	if t.haproxy, err = haproxytest.Start(ctx, haproxytest.Options{}); err != nil {
		return err
	}
	t.disk = mountDisk(t.haproxy.Folder) == nil
	t.runtime = runtime.New(t.haproxy.Admin, t.haproxy.Master, t.haproxy.Folder)
	if err := t.api.Start(""); err != nil {
		return err
	}
	if t.front, err = startProxy("tcp", "127.0.0.1:0", "tcp", t.api.URL()[len("http://"):]); err != nil {
		return err
	}
	if t.admin, err = startProxy("unix", filepath.Join(t.dir, "a.sock"), "unix", t.haproxy.Admin); err != nil {
		return err
	}
	if t.master, err = startProxy("unix", filepath.Join(t.dir, "m.sock"), "unix", t.haproxy.Master); err != nil {
		return err
	}
	if err := t.configure(); err != nil {
		return err
	}
	if err := t.fill(); err != nil {
		return err
	}
	return t.startPodgate()
}

func (t *town) configure() error {
	var err error
	if t.http, err = t.haproxy.FreeAddr(); err != nil {
		return err
	}
	relay, err := t.haproxy.FreeAddr()
	if err != nil {
		return err
	}
	tcp, err := t.haproxy.FreeAddr()
	if err != nil {
		return err
	}
	admin, err := t.haproxy.FreeAddr()
	if err != nil {
		return err
	}
	t.tcp = tcp
	t.toml = filepath.Join(t.dir, "podgate.toml")
	t.text = fmt.Appendf(nil, `[kubernetes]
server = "http://%s"
namespaces = ["shop", "evil"]
poll_interval = "1s"
resync_interval = "1m"
%serror_files = ""
reload_interval = "500ms"
[http]
bind = [%q]
relay = %q
[tcp]
addresses = [%q]
allowed_ports = [%d]
[safety]
hold_time = "2s"
[admin]
listen = [%q]
socket = %q
history = %q
[log]
level = "debug"
`, t.front.addr(), strings.NewReplacer(t.haproxy.Admin, t.admin.addr(), t.haproxy.Master, t.master.addr()).Replace(t.haproxy.Section()),
		t.http, relay, tcp.Addr(), tcp.Port(),
		admin, filepath.Join(t.dir, "p.sock"), filepath.Join(t.dir, "history.json"))
	return os.WriteFile(t.toml, t.text, 0o600)
}

// startPodgate runs podgate as systemd would after it ended.
func (t *town) startPodgate() error {
	t.starts++
	t.podgate = exec.Command(t.binary, "run", "--config", t.toml)
	t.podgate.Env = append(os.Environ(), clockEnv+"="+t.clock)
	t.podgate.Stdout, t.podgate.Stderr = t.log, t.log
	return t.podgate.Start()
}

// killPodgate ends it with no warning.
func (t *town) killPodgate() {
	_ = t.podgate.Process.Kill() // which has ended already where this fails
	_ = t.podgate.Wait()
}

// restartHAProxy runs HAProxy again after kill has ended it, as systemd would.
// What fails meanwhile is no fault of podgate's.
func (t *town) restartHAProxy(ctx context.Context, kill func() error) error {
	t.haproxyStarts++
	t.haproxyKilled.Add(1)
	defer t.haproxyKilled.Add(1)
	if err := kill(); err != nil {
		return err
	}
	return t.haproxy.Restart(ctx)
}

// tail is the end of what podgate and HAProxy said.
func (t *town) tail() string {
	const most = 6 << 10
	text, _ := os.ReadFile(t.log.Name())
	kept := filepath.Join(os.TempDir(), "podgate-chaos.log")
	if os.WriteFile(kept, text, 0o600) == nil {
		defer fmt.Fprintln(os.Stderr, "all that podgate said is in", kept)
	}
	return fmt.Sprintf("podgate said, at the end:\n%s\nHAProxy said, at the end:\n%s", text[max(0, len(text)-most):], t.haproxy.Log())
}

func (t *town) close() {
	if t.podgate != nil {
		t.killPodgate()
	}
	for _, p := range []*proxy{t.front, t.admin, t.master} {
		if p != nil {
			p.close()
		}
	}
	t.api.Stop()
	if t.haproxy != nil {
		if t.disk {
			unmountDisk(t.haproxy.Folder)
		}
		if err := t.haproxy.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if t.pods != nil {
		t.pods.close()
	}
	_ = os.RemoveAll(t.dir)
}

var errNotHere = errors.New("cannot be done here")

// pause returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
