// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/certstore"
	"podgate/daemon/cluster"
	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

// Daemon is one run of podgate. Its fields are set before Run and not changed
// after.
type Daemon struct {
	ConfigFile string         // path of podgate.toml, watched while running
	Config     *config.Config // what it holds now
	Version    string         // for the User-Agent
	Commit     string         // that it was built from, for who asks
	Log        *slog.Logger
	Level      *slog.LevelVar   // follows log.level; nil leaves the level alone
	Hangup     <-chan os.Signal // a value reads ConfigFile again; nil for never
	// Passes takes what every pass that changed something did; nil for nobody.
	// Run sends and does not close it; it waits for the receiver.
	Passes chan<- Pass
	// Admin is told of every pass, and answers operators; nil for nobody.
	Admin *admin.Server

	cluster    *cluster.Follower
	certs      *certstore.Store
	choice     certstore.Choice
	runtime    *runtime.Client
	reconciler *reconcile.Reconciler
	status     reconcile.Status // as of the last pass
	notifier   notifier
	snapshot   *kubeapi.Snapshot
	result     *compile.Result
	reselected bool // the Services of the next Snapshot are others because podgate.toml says so
	released   bool // those of the present one are
	draining   bool // it was told
	health     *admin.Health
	judged     haproxy.Backends // that were wanted when health came
	looking    looking
	lonely     healthProblems
	problems   reported[compile.Problem]
	unserved   reported[certstore.Problem]
	view       view
}

// Run keeps HAProxy in sync until ctx ends, and leaves it serving then. It
// returns an error only where it cannot begin: everything after that is told in
// the log and tried again.
func (d *Daemon) Run(ctx context.Context) error {
	memory := newCollector()
	d.cluster = cluster.NewFollower(d.Log)
	if _, err := d.cluster.Follow(ctx, cluster.FromConfig(d.Config, d.Version)); err != nil {
		return err
	}
	defer d.cluster.Stop()
	d.notifier = newNotifier(d.Log)
	host := reconcile.HostFromConfig(d.Config, d.Log)
	host.Alive = d.notifier.alive
	d.runtime = host.Runtime
	d.reconciler = reconcile.New(host, reconcile.FromConfig(d.Config))
	if err := host.Dir.Tidy(); err != nil {
		d.Log.Error("folder cannot be written", "file", d.Config.HAProxy.Folder, "err", err)
	}
	d.certs = certstore.New(d.Log)
	d.certs.Follow(ctx, certstore.FromConfig(d.Config))
	defer d.certs.Stop()

	changed := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { config.Watch(ctx, d.Log, d.ConfigFile, changed) })

	if d.looking == (looking{}) {
		d.looking = usualLooking()
	}
	healths := make(chan *admin.Health, 1)
	watchingHealth := false
	d.view.begin(d)
	if d.Admin != nil {
		watching.Go(func() { d.Admin.Serve(ctx) })
	}

	d.notifier.ready("waiting for the API server")
	d.Log.Info("started", "version", d.Version, "file", d.ConfigFile, "server", d.cluster.Client().Server())
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		var since time.Time
		select {
		case <-ctx.Done():
			d.notifier.stopping()
			d.reconciler.Close()
			d.status = d.reconciler.Status()
			d.view.chronicle.tell(told("podgate stopped, HAProxy goes on", ""))
			d.publish()
			d.saveHistory()
			d.Log.Info("stopped, HAProxy goes on")
			return nil
		case d.snapshot = <-d.cluster.Snapshots():
			since = d.snapshot.Since
			d.released, d.reselected = d.reselected, false
		case h := <-healths:
			d.judge(h)
		case secrets := <-d.cluster.Secrets():
			d.certs.UpdateSecrets(secrets)
		case set := <-d.certs.Updates():
			d.certs.Update(set)
		case <-changed:
			d.reload(ctx)
		case <-d.Hangup:
			d.reload(ctx)
		case <-wake.C:
		}
		d.notifier.alive()
		next := d.pass(ctx, since)
		if d.result != nil && !watchingHealth { // before, HAProxy is left alone
			watchingHealth = true
			watching.Go(func() { watchHealth(ctx, d.runtime, d.looking, healths) })
		}
		d.publish()
		d.followNodes(ctx)
		memory.tune(!d.Config.Kubernetes.Watch || d.cluster.Client().Status().Polling)
		wake.Reset(time.Until(next))
	}
}

// pass brings HAProxy to what cluster and configuration say now. Before the
// first complete Snapshot it leaves HAProxy alone: "API down" must not look
// like "no pods". Since is when the Snapshot came, if it is a new one. It returns
// when the next pass is due although nothing changed.
func (d *Daemon) pass(ctx context.Context, since time.Time) (next time.Time) {
	node := d.node(ctx)
	if d.snapshot == nil {
		return d.beforeCluster(ctx, node)
	}
	before := d.result
	d.result = compile.Compile(d.Config, d.certs.Set().Files, d.snapshot, before)
	d.cluster.FollowSecrets(d.result.SecretKeys())
	d.choice = d.certs.Choose(d.result)
	want := reconcile.Want{
		State: d.result.State, Certificates: d.choice.Certificates, Node: node, Authorities: d.certs.Set().Authorities,
		Lists: d.snapshot.Complete, Accepted: !d.result.SameInput(before), Released: d.released,
	}
	d.released = false
	pass := d.reconciler.Reconcile(ctx, want)
	d.status = d.reconciler.Status()
	if pass.Relist {
		d.cluster.Client().Relist()
	}
	d.reportProblems()
	d.reportCertificates()
	d.view.chronicle.pass(d.result, since, pass, d.status)
	d.notifier.status(d.status.String())
	if d.Passes != nil && !pass.Empty() {
		select {
		case d.Passes <- pass:
		case <-ctx.Done():
		}
	}
	return pass.Next
}

// judge takes what HAProxy says of its servers.
func (d *Daemon) judge(h *admin.Health) {
	h.Before, d.judged = d.judged, haproxy.Backends{}
	d.health = h
	if d.result != nil {
		d.judged = d.result.State.Backends
		d.lonely.look(d.result, h, d.looking.patience)
	}
}

// reload takes the configuration file as it is now. What is wrong with it is
// told, and what was in force stays so.
func (d *Daemon) reload(ctx context.Context) {
	next, err := config.Load(d.ConfigFile)
	if err == nil {
		err = d.take(ctx, next)
	}
	if err != nil {
		wrong := strings.ReplaceAll(err.Error(), "\n", "; ") // a line of the file each
		d.view.configured(wrong)
		d.Log.Error("configuration is refused, the old one stays in force", "file", d.ConfigFile, "err", wrong)
		return
	}
	d.view.configured("")
	d.Log.Info("configuration is in force", "file", d.ConfigFile)
}

func (d *Daemon) take(ctx context.Context, next *config.Config) error {
	reselected, err := d.cluster.Follow(ctx, cluster.FromConfig(next, d.Version))
	if err != nil {
		return err
	}
	d.reselected = d.reselected || reselected
	if keys := next.RestartNeeded(d.Config); len(keys) > 0 {
		d.Log.Warn("some keys take hold only after a restart", "keys", keys)
	}
	if d.Level != nil {
		d.Level.Set(next.Log.Level)
	}
	d.reconciler.SetConfig(reconcile.FromConfig(next))
	d.Config = next
	d.certs.Follow(ctx, certstore.FromConfig(d.Config))
	return nil
}

// followNodes has Nodes followed once a Service needs them: podgate asks for
// nothing that it does not use. Until the Snapshot with Nodes, the servers of that
// Service stay as they are.
func (d *Daemon) followNodes(ctx context.Context) {
	if d.result == nil || d.cluster.FollowsNodes() || !d.result.NeedsNodes() {
		return
	}
	c := cluster.FromConfig(d.Config, d.Version)
	c.Nodes = true
	if _, err := d.cluster.Follow(ctx, c); err != nil {
		d.Log.Error("nodes cannot be followed", "err", err)
		return
	}
	d.Log.Info("nodes are followed too, a Service is reached by node ports")
}

// Pass is what one pass of the loop did to HAProxy.
type Pass = reconcile.Result
