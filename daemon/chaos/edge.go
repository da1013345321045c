// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"podgate/daemon/edgetest"
)

// edge is an edge whose connections and files can all be damaged.
type edge struct {
	*rand.Rand
	*edgetest.Edge
	dir     string
	binary  string          // podgate
	clock   string          // file that shifts the clock of binary; "" if binary uses the machine's clock
	config  []byte          // podgate.toml
	api     *edgetest.Proxy // before the API server
	admin   *edgetest.Proxy // before HAProxy's sockets, for podgate
	master  *edgetest.Proxy
	disk    bool // HAProxy's folder is a file system of its own
	podgate *edgetest.Process
	pods    *edgetest.Pods
	load    *edgetest.Load

	cluster
	starts, haproxyStarts int
	current               atomic.Value // name of the fault that runs
}

func openEdge(ctx context.Context, binary string, r *rand.Rand) (*edge, error) {
	e := &edge{Rand: r, binary: binary}
	e.current.Store("the start")
	if err := e.open(ctx); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *edge) open(ctx context.Context) (err error) {
	if e.dir, err = os.MkdirTemp("", "podgate-chaos"); err != nil {
		return err
	}
	if e.binary == "" {
		e.clock = filepath.Join(e.dir, "clock")
		if e.binary, err = buildJumping(ctx, e.dir); err != nil {
			return err
		}
		if err := e.setClock(0); err != nil {
			return err
		}
	}
	cluster, err := edgetest.StartCluster()
	if err != nil {
		return err
	}
	var o edgetest.Options
	o.HAProxy.Global = oddGlobals()
	if e.Edge, err = edgetest.OpenEdge(ctx, cluster, o); err != nil {
		cluster.Stop()
		return err
	}
	if e.pods, err = edgetest.StartPods(); err != nil {
		return err
	}
	e.disk = mountDisk(e.HAProxy.Folder) == nil
	if err := e.configure(); err != nil {
		return err
	}
	if err := e.fill(); err != nil {
		return err
	}
	return e.startPodgate()
}

// configure starts proxies for all connections of podgate, and writes podgate.toml.
func (e *edge) configure() (err error) {
	if e.api, err = edgetest.StartProxy("tcp", "127.0.0.1:0", strings.TrimPrefix(e.Cluster.URL(), "http://"), nil); err != nil {
		return err
	}
	if e.admin, err = edgetest.StartProxy("unix", filepath.Join(e.dir, "a.sock"), e.HAProxy.Admin, nil); err != nil {
		return err
	}
	if e.master, err = edgetest.StartProxy("unix", filepath.Join(e.dir, "m.sock"), e.HAProxy.Master, nil); err != nil {
		return err
	}
	var admin netip.AddrPort
	for _, addr := range []*netip.AddrPort{&e.tcp, &admin} {
		if *addr, err = e.HAProxy.FreeAddr(); err != nil {
			return err
		}
	}
	for key, value := range map[string]any{
		"kubernetes.server":          "http://" + e.api.Addr(),
		"kubernetes.namespaces":      []string{edgetest.Namespace, evilNamespace},
		"kubernetes.poll_interval":   "1s",
		"kubernetes.resync_interval": "1m",
		"haproxy.admin_socket":       e.admin.Addr(),
		"haproxy.master_socket":      e.master.Addr(),
		"haproxy.reload_interval":    "500ms",
		"tcp.addresses":              []string{e.tcp.Addr().String()},
		"tcp.allowed_ports":          []int{int(e.tcp.Port())},
		"safety.hold_time":           "2s",
		"admin.listen":               []string{admin.String()},
		"log.level":                  "debug",
	} {
		e.Set(key, value)
	}
	if err := e.Configure(""); err != nil {
		return err
	}
	e.config, err = os.ReadFile(e.TOML)
	return err
}

// startPodgate runs podgate as systemd would after it ended.
func (e *edge) startPodgate() (err error) {
	e.starts++
	e.podgate, err = e.StartProcess(e.binary, clockEnv+"="+e.clock)
	return err
}

// restartHAProxy starts HAProxy again after kill has ended it, as systemd does. Requests
// that fail meanwhile are excused, because podgate cannot prevent that.
func (e *edge) restartHAProxy(ctx context.Context, kill func() error) error {
	e.haproxyStarts++
	return e.load.Outage(func() error {
		if err := kill(); err != nil {
			return err
		}
		return e.HAProxy.Restart(ctx)
	})
}

// startLoad starts clients that send requests to the stable Services.
func (e *edge) startLoad(ctx context.Context) error {
	e.load = edgetest.StartLoad(edgetest.LoadOptions{Failed: func(f edgetest.Failure) {
		fmt.Fprintf(os.Stderr, "failed during %q: %s\n", e.current.Load(), f)
	}})
	for i := range stable {
		if _, err := e.load.Add(ctx, e.target(i)); err != nil {
			return err
		}
	}
	return nil
}

// tail is the end of the logs of podgate and HAProxy.
func (e *edge) tail() string {
	kept := filepath.Join(os.TempDir(), "podgate-chaos.log")
	if text, err := os.ReadFile(e.podgate.LogFile); err == nil && os.WriteFile(kept, text, 0o600) == nil {
		defer fmt.Fprintln(os.Stderr, "podgate's whole log is in", kept)
	}
	return fmt.Sprintf("podgate's log ends with:\n%s\nHAProxy's log ends with:\n%s", e.podgate.Tail(), e.HAProxy.Log())
}

func (e *edge) close() {
	if e.load != nil {
		e.load.Stop()
	}
	if e.podgate != nil {
		e.podgate.Kill()
	}
	for _, p := range []*edgetest.Proxy{e.api, e.admin, e.master} {
		if p != nil {
			p.Close()
		}
	}
	if e.pods != nil {
		e.pods.Close()
	}
	if e.Edge != nil {
		e.Cluster.Stop()
		if e.disk {
			unmountDisk(e.HAProxy.Folder)
		}
		if err := e.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	_ = os.RemoveAll(e.dir)
}

var errNotHere = errors.New("cannot be done on this machine")

// oddGlobals returns lines of the operator's global section that concern podgate's.
func oddGlobals() []string {
	return []string{"description of the operator", "server-state-base /nonexistent", "server-state-file their.state", "tune.bufsize 8192", "spread-checks 10"}
}
