// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"log/slog"
	"sync"

	"podgate/daemon/filewatch"
	"podgate/kubeapi"
)

// Follower follows one cluster at a time, in goroutines of its own. Its methods may not
// be called concurrently; its Client may be used concurrently.
type Follower struct {
	log   *slog.Logger
	run   *run               // nil before the first Follow
	known []*kubeapi.Service // nil for none
	lost  bool
}

// run follows the cluster of one Config.
type run struct {
	config    Config
	client    *kubeapi.Client
	snapshots chan *kubeapi.Snapshot // of capacity 1, holds only the newest; not closed
	secrets   *secretFollower
	cancel    context.CancelFunc
	ended     sync.WaitGroup
}

// NewFollower returns a Follower without a cluster.
func NewFollower(log *slog.Logger) *Follower { return &Follower{log: log} }

// Know sets the Services that are in service: the next Follow keeps those of a namespace
// whose Services cannot be listed. Services is not changed any more.
func (f *Follower) Know(services []*kubeapi.Service) { f.known, f.lost = services, false }

// Lost notes that there are Services in service that are not known: until Know, the next
// Follow sends no Snapshot before everything was listed.
func (f *Follower) Lost() { f.lost = true }

// Follow follows the cluster of c instead of the one before, until ctx ends or Stop is
// called. It does nothing if c leads to the same requests. If Nodes were followed
// before, it follows them, too. Reselected reports whether c has another cluster or
// selects other Services. On an error, which is about the credentials, the Follower
// continues to follow the cluster of before.
func (f *Follower) Follow(ctx context.Context, c Config) (reselected bool, err error) {
	old := f.run
	if old != nil {
		c.Nodes = c.Nodes || old.config.Nodes
		if old.config.same(c) {
			return false, nil
		}
		reselected = old.config.reselects(c)
	}
	c.Known, c.Whole = f.known, f.lost
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
	r.ended.Go(func() { _ = client.Follow(ctx, r.snapshots) }) // returns only when ctx ends
	return r
}

// refreshCredentials makes the client re-read its credentials when their files change,
// until ctx ends.
func refreshCredentials(ctx context.Context, client *kubeapi.Client, log *slog.Logger) {
	if len(client.CredentialFiles()) == 0 {
		return // without a kubeconfig, which could name files later
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

// Snapshots receives the newest Snapshot of the cluster. Each Follow returns another
// channel, so that no Snapshot of the cluster before is received.
func (f *Follower) Snapshots() <-chan *kubeapi.Snapshot { return f.run.snapshots }

// FollowsNodes reports whether the Snapshots contain Nodes.
func (f *Follower) FollowsNodes() bool { return f.run.config.Nodes }

// Client returns the client of the cluster.
func (f *Follower) Client() *kubeapi.Client { return f.run.client }

// FollowSecrets follows these Secrets instead of those before. Keys must be sorted.
func (f *Follower) FollowSecrets(keys []kubeapi.Key) { f.run.secrets.follow(keys) }

// Secrets receives all followed Secrets whenever one of them changed. The map is
// immutable.
func (f *Follower) Secrets() <-chan map[kubeapi.Key]Secret { return f.run.secrets.out }
