// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"podgate/daemon/config"
	"podgate/daemon/filewatch"
	"podgate/kubeapi"
)

// follower follows one API server in a goroutine of its own.
type follower struct {
	of     config.Kubernetes
	nodes  bool // it follows Nodes too
	client *kubeapi.Client
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{} // closed by the goroutine when it ends

	secrets *secretFollower
}

// newFollower reads the credentials that k names. The error says what is wrong
// with them. With nodes, it follows the cluster's Nodes as well.
func newFollower(k config.Kubernetes, nodes bool, userAgent string, log *slog.Logger) (*follower, error) {
	c := clientConfig(k, userAgent)
	c.Nodes = nodes
	client, err := kubeapi.New(c, log)
	if err != nil {
		return nil, err
	}
	return &follower{of: k, nodes: nodes, client: client, log: log, done: make(chan struct{}), secrets: newSecretFollower(client, k.PollInterval)}, nil
}

// start begins to send Snapshots to out, until stop or until ctx ends.
func (f *follower) start(ctx context.Context, out chan *kubeapi.Snapshot) {
	ctx, f.cancel = context.WithCancel(ctx)
	go func() {
		defer close(f.done)
		var beside sync.WaitGroup
		defer beside.Wait()
		beside.Go(func() { f.secrets.run(ctx) })
		beside.Go(func() { f.watchCredentials(ctx) })
		_ = f.client.Follow(ctx, out) // ends with ctx and for no other reason
	}()
}

// watchCredentials has the credentials read again when their files change.
func (f *follower) watchCredentials(ctx context.Context) {
	if len(f.client.CredentialFiles()) == 0 {
		return // and there will be none: no kubeconfig can name any
	}
	watcher := filewatch.New(f.log)
	defer watcher.Close()
	for watcher.Wait(ctx, f.client.CredentialFiles()...) {
		f.client.Refresh()
	}
}

// clientConfig is what podgate.toml says to kubeapi.
func clientConfig(k config.Kubernetes, userAgent string) kubeapi.Config {
	c := kubeapi.Config{
		Kubeconfig:        k.Kubeconfig,
		Context:           k.Context,
		CAFile:            k.CAFile,
		TokenFile:         k.TokenFile,
		ClientCertificate: k.ClientCertificate,
		ClientKey:         k.ClientKey,
		Namespaces:        k.Namespaces,
		Selector:          k.Selector,
		Watch:             k.Watch,
		PollInterval:      k.PollInterval,
		ResyncInterval:    k.ResyncInterval,
		UserAgent:         userAgent,
	}
	if len(k.Servers) > 0 {
		c.Server, c.Servers = k.Servers[0], k.Servers[1:]
	}
	return c
}

// follows reports whether k says what f does already.
func (f *follower) follows(k config.Kubernetes) bool {
	k.Expose = f.of.Expose // of no meaning to the API server
	return reflect.DeepEqual(f.of, k)
}

// selects reports whether k asks another cluster than f, or for other Services of
// it. Servers are those of one cluster as long as one of them stays. Namespaces
// are not looked at: those that are gone from podgate.toml are left out by what
// is compiled.
func (f *follower) selects(k config.Kubernetes) bool {
	o := f.of
	shared := len(o.Servers) == 0 && len(k.Servers) == 0 ||
		slices.ContainsFunc(k.Servers, func(s string) bool { return slices.Contains(o.Servers, s) })
	return k.Kubeconfig != o.Kubeconfig || k.Context != o.Context || k.Selector != o.Selector || !shared
}

// stop ends the goroutine and waits for it.
func (f *follower) stop() {
	f.cancel()
	<-f.done
}
