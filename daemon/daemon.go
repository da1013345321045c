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
	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/daemon/health"
	"podgate/daemon/history"
	"podgate/daemon/machine"
	"podgate/daemon/reconcile"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

// Daemon is one run of podgate. Its fields are set before Run and not changed
// afterwards.
type Daemon struct {
	ConfigFile string         // path of podgate.toml, which Run watches
	Config     *config.Config // the content of ConfigFile
	Version    string         // for the User-Agent
	Commit     string         // build commit, for the status and metrics
	Log        *slog.Logger
	Level      *slog.LevelVar   // follows log.level; nil leaves the level alone
	Hangup     <-chan os.Signal // on a value ConfigFile is re-read; nil for never
	// Passes receives the Result of each pass that changed something; nil if it is not
	// needed. Run waits for the receiver, and does not close the channel.
	Passes chan<- Pass
	// Admin serves operators the views that Run publishes; nil for no admin server.
	Admin *admin.Server

	// The components that the loop calls.
	cluster    *cluster.Follower
	certs      *certstore.Store
	machine    machine.Reader
	runtime    *runtime.Client
	reconciler *reconcile.Reconciler
	notifier   notifier

	// The state of the loop.
	snapshot   *kubeapi.Snapshot // nil before the first complete list
	known      known
	result     *compile.Result // of snapshot
	choice     certstore.Choice
	status     reconcile.Status // after the last pass
	reselected bool             // podgate.toml selects other Services, from the next Snapshot on
	released   bool             // podgate.toml selects other Services, from the present Snapshot on; false after a pass
	start      start
	draining   bool
	polling    health.Polling // zero is health.DefaultPolling
	health     health.Tracker

	// What the loop has reported.
	problems      reported[compile.Problem]
	unserved      reported[certstore.Problem]
	machineUnread bool
	history       *history.History
	inUse         inUse
	view          viewState
}

// Pass is what one pass of the loop did to HAProxy.
type Pass = reconcile.Result

// Run keeps HAProxy in sync until ctx ends, and leaves it serving then. It returns an
// error only if it cannot start: anything later is logged and retried.
func (d *Daemon) Run(ctx context.Context) error {
	var background sync.WaitGroup
	defer background.Wait()
	d.start.began = time.Now()
	unlock, err := d.lockFolder()
	if err != nil {
		return err
	}
	defer unlock()
	d.cluster, d.certs = cluster.NewFollower(d.Log), certstore.New(d.Log)
	d.recall()
	if _, err := d.cluster.Follow(ctx, cluster.FromConfig(d.Config, d.Version)); err != nil {
		return err
	}
	defer d.cluster.Stop()
	dir := confdir.Dir(d.Config.HAProxy.Folder)
	background.Go(func() { d.writeKnown(ctx, dir) })
	d.certs.Follow(ctx, certstore.FromConfig(d.Config))
	defer d.certs.Stop()
	configChanged := make(chan struct{}, 1)
	sum := d.Config.Sum
	background.Go(func() { config.Watch(ctx, d.Log, d.ConfigFile, sum, configChanged) })
	d.startReconciler()
	d.startPublishing()
	if d.Admin != nil {
		background.Go(func() { d.Admin.Serve(ctx) })
	}
	d.notifier.ready("waiting for the API server")
	d.Log.Info("started", "version", d.Version, "file", d.ConfigFile, "server", d.cluster.Client().Server())

	healths := make(chan *admin.Health, 1)
	polled := false
	gc := newCollector()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		var since time.Time
		select {
		case <-ctx.Done():
			d.stop()
			return nil
		case d.snapshot = <-d.cluster.Snapshots():
			since = d.snapshot.Since
			d.released, d.reselected = d.reselected, false
			d.know()
		case secrets := <-d.cluster.Secrets():
			d.certs.UpdateSecrets(secrets)
		case set := <-d.certs.Updates():
			d.certs.Update(set)
		case h := <-healths:
			d.health.Set(h, d.result, d.polling.Patience)
		case <-configChanged:
			d.rereadConfig(ctx)
		case <-d.Hangup:
			d.rereadConfig(ctx)
		case <-next.C:
		}
		d.notifier.alive()
		at := d.pass(ctx, since)
		if d.reportStart() {
			gc.measureNow()
		}
		d.publish()
		d.followNodes(ctx)
		if d.result != nil && !polled { // without a cluster, HAProxy is left alone
			polled = true
			background.Go(func() { health.Poll(ctx, d.runtime, d.polling, healths) })
		}
		gc.tune(!d.Config.Kubernetes.Watch || d.cluster.Client().Status().Polling)
		next.Reset(time.Until(at))
	}
}

func (d *Daemon) startReconciler() {
	d.notifier = newNotifier(d.Log)
	host := reconcile.HostFromConfig(d.Config, d.Log)
	host.Alive = d.notifier.alive
	if err := host.Dir.Tidy(); err != nil {
		d.Log.Error("folder cannot be written", "file", d.Config.HAProxy.Folder, "err", err)
	}
	d.runtime = host.Runtime
	d.reconciler = reconcile.New(host, reconcile.FromConfig(d.Config))
	if d.polling == (health.Polling{}) {
		d.polling = health.DefaultPolling()
	}
}

// stop leaves HAProxy serving, with files that match what it serves.
func (d *Daemon) stop() {
	d.notifier.stopping()
	d.reconciler.Close()
	d.status = d.reconciler.Status()
	d.history.Add(history.Event("podgate stopped, HAProxy continues to serve", ""))
	d.publish()
	d.saveHistory()
	d.Log.Info("stopped, HAProxy continues to serve")
}

// pass reconciles HAProxy with the present Snapshot and podgate.toml. Before the first
// complete Snapshot it leaves HAProxy alone, so that an API server that is down does
// not look like a cluster without pods. since is when the Snapshot arrived; zero if an
// earlier pass used it. next is when to call pass again although nothing changed.
func (d *Daemon) pass(ctx context.Context, since time.Time) (next time.Time) {
	node := d.nodeState(ctx)
	if d.snapshot == nil {
		return d.bootstrap(ctx, node)
	}
	if d.start.listed.IsZero() {
		d.start.listed = since
	}
	before, began := d.result, time.Now()
	d.result = compile.Compile(d.Config, d.readMachine(), d.snapshot, before)
	d.start.compile += time.Since(began)
	d.cluster.FollowSecrets(d.result.SecretKeys())
	d.choice = d.certs.Choose(d.result)

	want := reconcile.Want{
		State: d.result.State, Certificates: d.choice.Certificates, Node: node, Authorities: d.certs.Set().Authorities,
		Namespace: d.namespace,
		Lists:     d.snapshot.Complete, Accepted: !d.result.SameInput(before), Released: d.released,
	}
	if h := d.health.Last(); h != nil {
		want.Up, want.Polled = h.Up, h.At
	}
	did := d.reconciler.Reconcile(ctx, want)
	d.status, d.released = d.reconciler.Status(), false
	if did.Relist {
		d.cluster.Client().Relist()
	}

	d.reportProblems()
	d.reportCertificates()
	d.history.AddPass(history.Pass{Compiled: d.result, Since: since, Did: did, Status: d.status})
	d.notifier.status(d.status.String())
	if d.Passes != nil && !did.Empty() {
		select {
		case d.Passes <- did:
		case <-ctx.Done():
		}
	}
	return did.Next
}

// namespace returns the namespace of the Service of a backend, "" for none.
func (d *Daemon) namespace(backend string) string {
	port, _ := d.result.Service(backend)
	return port.Service.Namespace
}

// readMachine reads the machine. It logs an error when it begins.
func (d *Daemon) readMachine() *compile.Machine {
	m, err := d.machine.Read(d.Config, d.certs.Set().Files, d.cluster.Client().Reached())
	if err != nil && !d.machineUnread {
		d.Log.Warn("the addresses of this machine cannot be read, and may be served as endpoints", "err", err)
	}
	d.machineUnread = err != nil
	return m
}

// followNodes starts to follow Nodes when a Service needs them: podgate requests only
// what it uses. Until the first Snapshot with Nodes, that Service keeps its servers.
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
	d.Log.Info("nodes are followed too, a Service uses node ports")
}

// rereadConfig re-reads podgate.toml. If that fails, the previous configuration stays
// in force.
func (d *Daemon) rereadConfig(ctx context.Context) {
	next, err := config.Load(d.ConfigFile)
	if err == nil {
		err = d.useConfig(ctx, next)
	}
	if err != nil {
		oneLine := strings.ReplaceAll(err.Error(), "\n", "; ")
		d.configRead(oneLine)
		d.Log.Error("podgate.toml is invalid, the previous version stays in force", "file", d.ConfigFile, "err", oneLine)
		return
	}
	d.configRead("")
	d.Log.Info("podgate.toml is in force", "file", d.ConfigFile)
}

// useConfig puts next in force. If the credentials cannot be used, it returns an error
// and changes nothing.
func (d *Daemon) useConfig(ctx context.Context, next *config.Config) error {
	reselected, err := d.cluster.Follow(ctx, cluster.FromConfig(next, d.Version))
	if err != nil {
		return err
	}
	d.reselected = d.reselected || reselected
	d.certs.Follow(ctx, certstore.FromConfig(next))
	d.reconciler.SetConfig(reconcile.FromConfig(next))
	if d.Level != nil {
		d.Level.Set(next.Log.Level)
	}
	if keys := next.RestartNeeded(d.Config); len(keys) > 0 {
		d.Log.Warn("some keys take effect only after a restart", "keys", keys)
	}
	d.Config = next
	return nil
}
