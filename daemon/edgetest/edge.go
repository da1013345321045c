// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"podgate/daemon"
	"podgate/daemon/admin"
	"podgate/daemon/config"
	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
)

// Options describe an Edge. The zero value runs the default HAProxy at a free address.
type Options struct {
	HAProxy haproxytest.Options
	HTTP    netip.AddrPort // of the HTTP frontend; invalid: a free one
}

// Edge is a machine at the edge of a Cluster: a real HAProxy and podgate, with their
// files in folders of their own. Its methods are for one goroutine at a time.
type Edge struct {
	Cluster *Cluster
	HAProxy *haproxytest.HAProxy
	Runtime *runtime.Client
	HTTP    netip.AddrPort // of the HTTP frontend
	Relay   netip.AddrPort // http.relay of podgate.toml
	Folder  string
	TOML    string         // path of podgate.toml
	Socket  string         // podgate's control socket
	History string         // path of podgate's history
	Log     *Log           // of podgate
	Hangup  chan os.Signal // podgate treats each value as a SIGHUP

	Handler slog.Handler         // of podgate's log; nil: Log, with everything
	Prepare func(*daemon.Daemon) // is called before podgate runs; nil for none
	Passed  func(daemon.Pass)    // is called after each pass by a goroutine of the Edge; nil for none

	settings []setting
	passes   passes
	cancel   context.CancelFunc // nil: podgate does not run
	running  sync.WaitGroup
	err      error // of podgate, after it has ended
}

// OpenEdge starts HAProxy, until Close, and writes podgate.toml. podgate is
// started by Start or StartProcess.
func OpenEdge(ctx context.Context, c *Cluster, o Options) (*Edge, error) {
	e := &Edge{Cluster: c, HTTP: o.HTTP, Log: new(Log), Hangup: make(chan os.Signal)}
	if err := e.open(ctx, o.HAProxy); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Edge) open(ctx context.Context, o haproxytest.Options) (err error) {
	// The name is short: sockets have names of 107 bytes at most.
	if e.Folder, err = os.MkdirTemp("", "podgate"); err != nil {
		return err
	}
	e.TOML, e.Socket = filepath.Join(e.Folder, "podgate.toml"), filepath.Join(e.Folder, "podgate.sock")
	e.History = filepath.Join(e.Folder, "history.json")
	if err := e.RunHAProxy(ctx, o); err != nil {
		return err
	}
	if !e.HTTP.IsValid() {
		if e.HTTP, err = e.HAProxy.FreeAddr(); err != nil {
			return err
		}
	}
	if e.Relay, err = e.HAProxy.FreeAddr(); err != nil {
		return err
	}
	e.Set("kubernetes.server", e.Cluster.URL())
	e.Set("kubernetes.namespaces", []string{Namespace})
	e.Set("haproxy.error_files", "")
	e.Set("http.bind", []string{e.HTTP.String()})
	e.Set("http.relay", e.Relay)
	e.Set("safety.networks", []string{"127.0.0.0/8", "::1/128", "0.0.0.0/0", "::/0"}) // pods have loopback addresses
	e.Set("admin.listen", []string{})
	e.Set("admin.socket", e.Socket)
	e.Set("admin.history", e.History)
	return e.Configure("")
}

// RunHAProxy replaces the running HAProxy. Configure makes podgate use the new one.
func (e *Edge) RunHAProxy(ctx context.Context, o haproxytest.Options) error {
	if e.HAProxy != nil {
		if err := e.HAProxy.Stop(); err != nil {
			return err
		}
	}
	h, err := haproxytest.Start(ctx, o)
	if err != nil {
		return err
	}
	e.HAProxy, e.Runtime = h, runtime.New(h.Admin, h.Master, h.Folder)
	e.setHAProxy()
	return nil
}

// Start runs podgate in this process until Stop.
func (e *Edge) Start() error {
	c, err := config.Load(e.TOML)
	if err != nil {
		return err
	}
	handler := e.Handler
	if handler == nil {
		handler = slog.NewTextHandler(e.Log, &slog.HandlerOptions{Level: slog.LevelDebug})
	}
	log := slog.New(handler)
	passed := make(chan daemon.Pass) // closed when podgate has ended
	d := &daemon.Daemon{
		ConfigFile: e.TOML, Config: c, Version: "test", Log: log, Passes: passed, Hangup: e.Hangup, Admin: admin.New(c.Admin, log),
	}
	if e.Prepare != nil {
		e.Prepare(d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.running.Go(func() {
		defer close(passed)
		e.err = d.Run(ctx)
	})
	e.running.Go(func() {
		for p := range passed {
			e.passes.add(p)
			if e.Passed != nil {
				e.Passed(p)
			}
		}
	})
	return nil
}

// Interrupt stops podgate and does not wait for its end. Any goroutine may call it
// while podgate runs.
func (e *Edge) Interrupt() { e.cancel() }

// Stop ends podgate and returns its error. It does nothing if podgate does not run in this
// process.
func (e *Edge) Stop() error {
	if e.cancel == nil {
		return nil
	}
	e.cancel()
	e.running.Wait()
	e.cancel = nil
	return e.err
}

// Close ends podgate, then HAProxy, and removes the files of both. It does not stop
// the cluster.
func (e *Edge) Close() error {
	err := e.Stop()
	if e.HAProxy != nil {
		err = errors.Join(err, e.HAProxy.Stop())
	}
	return errors.Join(err, os.RemoveAll(e.Folder))
}
