// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"log/slog"
	"sync"

	"podgate/daemon/filewatch"
	"podgate/kubeapi"
)

// Follower follows one cluster after the other, in goroutines of its own. Its
// methods are for one goroutine; only the Client may be used by others.
type Follower struct {
	log *slog.Logger
	run *run // nil before the first Follow
}

// run follows the cluster of one Config.
type run struct {
	config    Config
	client    *kubeapi.Client
	snapshots chan *kubeapi.Snapshot // of capacity 1, the newest counts; not closed
	secrets   *secretFollower
	cancel    context.CancelFunc
	ended     sync.WaitGroup
}

// NewFollower returns a Follower that follows nothing yet.
func NewFollower(log *slog.Logger) *Follower { return &Follower{log: log} }

// Follow follows the cluster of c from now on, until ctx ends or Stop. It does
// nothing if that is followed already. Nodes that were followed stay followed.
// Reselected reports that the Services of the next Snapshot are others than before
// because c says so. On an error, about the credentials, the cluster of before is
// still followed.
func (f *Follower) Follow(ctx context.Context, c Config) (reselected bool, err error) {
	old := f.run
	if old != nil {
		c.Nodes = c.Nodes || old.config.Nodes
		if old.config.same(c) {
			return false, nil
		}
		reselected = old.config.reselects(c)
	}
	client, err := Connect(c, f.log)
	if err != nil {
		return false, err
	}
	f.Stop()
	f.run = newRun(ctx, c, client, f.log)
	return reselected, nil
}

func newRun(ctx context.Context, c Config, client *kubeapi.Client, log *slog.Logger) *run {
	r := &run{config: c, client: client, snapshots: make(chan *kubeapi.Snapshot, 1), secrets: newSecretFollower(client, c.PollInterval)}
	ctx, r.cancel = context.WithCancel(ctx)
	r.ended.Go(func() { r.secrets.run(ctx) })
	r.ended.Go(func() { refreshCredentials(ctx, client, log) })
	r.ended.Go(func() { _ = client.Follow(ctx, r.snapshots) }) // it ends with ctx and for no other reason
	return r
}

// refreshCredentials has the client read its credentials again when their files
// change, until ctx ends.
func refreshCredentials(ctx context.Context, client *kubeapi.Client, log *slog.Logger) {
	if len(client.CredentialFiles()) == 0 {
		return // and there will be none: no kubeconfig can name any
	}
	watcher := filewatch.New(log)
	defer watcher.Close()
	for watcher.Wait(ctx, client.CredentialFiles()...) {
		client.Refresh()
	}
}

// Stop ends the goroutines and waits for them.
func (f *Follower) Stop() {
	if f.run != nil {
		f.run.cancel()
		f.run.ended.Wait()
	}
}

// Snapshots receives the newest Snapshot of the cluster that is followed. Each
// Follow makes another channel, so that no Snapshot of the cluster before is
// received any more.
func (f *Follower) Snapshots() <-chan *kubeapi.Snapshot { return f.run.snapshots }

// FollowsNodes reports whether Snapshots have Nodes.
func (f *Follower) FollowsNodes() bool { return f.run.config.Nodes }

// Client is the client of the cluster that is followed.
func (f *Follower) Client() *kubeapi.Client { return f.run.client }

// FollowSecrets has these Secrets read from now on, each by its name, and no
// others. Keys are sorted.
func (f *Follower) FollowSecrets(keys []kubeapi.Key) { f.run.secrets.follow(keys) }

// Secrets receives all Secrets that are followed, whenever one of them changed. The
// map is not changed after it was sent.
func (f *Follower) Secrets() <-chan map[kubeapi.Key]Secret { return f.run.secrets.out }
