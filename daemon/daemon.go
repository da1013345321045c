// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/kubeapi"
)

// Daemon is one run of podgate. Its fields are set before Run and not changed
// after.
type Daemon struct {
	ConfigFile string         // path of podgate.toml, watched while running
	Config     *config.Config // what it holds now
	Version    string         // for the User-Agent
	Log        *slog.Logger
	Level      *slog.LevelVar   // follows log.level; nil leaves the level alone
	Hangup     <-chan os.Signal // a value reads ConfigFile again; nil for never
	// Passes takes what every pass that changed something did; nil for nobody.
	// Run sends and does not close it; it waits for the receiver.
	Passes chan<- Pass

	follow   *follower
	edge     *edge
	notifier notifier
	snapshot *kubeapi.Snapshot
	result   *compile.Result
	compiled *config.Config // what result was made with
	moved    bool           // the next Snapshot is of other Services than the last, by the operator's will
	told     map[compile.Problem]bool
	draining bool // it was told
}

// Run keeps HAProxy in step until ctx ends, and leaves it serving then. It
// returns an error only where it cannot begin: everything after that is told in
// the log and tried again.
func (d *Daemon) Run(ctx context.Context) error {
	snapshots := make(chan *kubeapi.Snapshot, 1)
	var err error
	if d.follow, err = newFollower(d.Config.Kubernetes, userAgent(d.Version), d.Log); err != nil {
		return err
	}
	d.follow.start(ctx, snapshots)
	defer func() { d.follow.stop() }()
	d.edge = newEdge(d.Config, d.Log)
	if err := d.edge.tidy(); err != nil {
		d.Log.Error("folder cannot be written", "file", d.Config.HAProxy.Folder, "err", err)
	}

	changed := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		if err := config.Watch(ctx, d.ConfigFile, changed); err != nil && ctx.Err() == nil {
			d.Log.Warn("configuration file is not watched", "file", d.ConfigFile, "err", err)
		}
	})

	d.notifier = newNotifier(d.Log)
	d.edge.alive = d.notifier.alive
	d.notifier.ready("waiting for the API server")
	d.Log.Info("started", "version", d.Version, "file", d.ConfigFile, "server", d.follow.client.Server())
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			d.notifier.stopping()
			d.edge.close()
			d.Log.Info("stopped, HAProxy goes on")
			return nil
		case d.snapshot = <-snapshots:
			if d.moved {
				d.moved = false
				d.edge.brake.release()
			}
		case <-changed:
			d.reload(ctx, snapshots)
		case <-d.Hangup:
			d.reload(ctx, snapshots)
		case <-wake.C:
		}
		d.notifier.alive()
		d.pass(ctx)
		wake.Reset(time.Until(d.edge.next()))
	}
}

// pass brings HAProxy to what cluster and configuration say now. Before the
// first complete Snapshot it leaves HAProxy alone: "API down" must not look
// like "no pods".
func (d *Daemon) pass(ctx context.Context) {
	node := d.node(ctx)
	if d.snapshot == nil {
		d.beforeCluster(ctx, node)
		return
	}
	d.result = compile.Compile(d.Config, d.snapshot, d.result)
	if d.compiled != d.Config {
		d.edge.brake.willed(d.result.State)
		d.compiled = d.Config
	}
	d.edge.brake.saw(d.snapshot.Complete)
	want := d.edge.secured(d.result.State)
	want.Node = node
	pass := d.edge.bring(ctx, want)
	if d.edge.brake.wantsList() {
		d.follow.client.Relist()
	}
	d.tellProblems()
	d.notifier.status(d.edge.status())
	if d.Passes != nil && !pass.Empty() {
		select {
		case d.Passes <- pass:
		case <-ctx.Done():
		}
	}
}

// problems are those of the cluster, and what HAProxy could not load of it.
func (d *Daemon) problems() []compile.Problem {
	problems := slices.Clone(d.result.Problems)
	for name, a := range d.edge.quarantine.aside {
		if port, ok := d.result.Service(name); ok {
			text := fmt.Sprintf("set aside, what was served of it stays: %s", a.reason)
			problems = append(problems, compile.Problem{Service: port.Service, Port: port.Label(), Text: text})
		}
	}
	slices.SortFunc(problems, compile.Problem.Compare)
	return problems
}

// tellProblems logs each Problem when it begins and when it ends.
func (d *Daemon) tellProblems() {
	problems := d.problems()
	now := make(map[compile.Problem]bool, len(problems))
	for _, p := range problems {
		now[p] = true
		if !d.told[p] {
			d.Log.Warn("problem", "service", p.Service, "reason", p)
		}
	}
	for p := range d.told {
		if !now[p] {
			d.Log.Info("problem is gone", "service", p.Service, "reason", p)
		}
	}
	d.told = now
}

// reload takes the configuration file as it is now. What is wrong with it is
// told, and what was in force stays so.
func (d *Daemon) reload(ctx context.Context, snapshots chan *kubeapi.Snapshot) {
	next, err := config.Load(d.ConfigFile)
	if err == nil {
		err = d.take(ctx, next, snapshots)
	}
	if err != nil {
		d.Log.Error("configuration is refused, the old one stays in force", "file", d.ConfigFile, "err", err)
		return
	}
	d.Log.Info("configuration is in force", "file", d.ConfigFile)
}

func (d *Daemon) take(ctx context.Context, next *config.Config, snapshots chan *kubeapi.Snapshot) error {
	if !d.follow.follows(next.Kubernetes) {
		f, err := newFollower(next.Kubernetes, userAgent(d.Version), d.Log)
		if err != nil {
			return err
		}
		d.moved = d.moved || d.follow.selects(next.Kubernetes)
		d.follow.stop()
		select {
		case <-snapshots: // of the old one
		default:
		}
		d.follow = f
		d.follow.start(ctx, snapshots)
	}
	if keys := next.RestartNeeded(d.Config); len(keys) > 0 {
		d.Log.Warn("some keys take hold only after a restart", "keys", keys)
	}
	if d.Level != nil {
		d.Level.Set(next.Log.Level)
	}
	d.edge.reloadInterval = next.HAProxy.ReloadInterval
	d.edge.resyncInterval = next.Kubernetes.ResyncInterval
	d.edge.brake.safety = next.Safety
	d.Config = next
	return nil
}

func userAgent(version string) string { return "podgate/" + version }
