// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"podgate/daemon/latest"
	"podgate/kubeapi"
)

// Secret is the last answer of the API server about one Secret.
type Secret struct {
	Content *kubeapi.Secret // nil if Err is set
	Err     error           // kubeapi.ErrNoSecret, or why it could not be read
}

// same compares the content and not the version: a Secret that was deleted and created
// again may have any version.
func (s Secret) same(other Secret) bool {
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	return reflect.DeepEqual(s.Content, other.Content) && text(s.Err) == text(other.Err)
}

// secretFollower polls Secrets by name, in a goroutine of its own. It does not list or
// watch them, because a role can then grant access to single Secrets.
type secretFollower struct {
	client   *kubeapi.Client
	interval time.Duration
	want     chan []kubeapi.Key          // of capacity 1, holds only the newest; not closed
	out      chan map[kubeapi.Key]Secret // likewise
	followed []kubeapi.Key               // that were sent to want last
}

func newSecretFollower(client *kubeapi.Client, interval time.Duration) *secretFollower {
	return &secretFollower{
		client: client, interval: interval,
		want: make(chan []kubeapi.Key, 1), out: make(chan map[kubeapi.Key]Secret, 1),
	}
}

func (f *secretFollower) follow(keys []kubeapi.Key) {
	if !slices.Equal(keys, f.followed) {
		f.followed = keys
		latest.Send(f.want, keys)
	}
}

func (f *secretFollower) run(ctx context.Context) {
	ticker := time.NewTicker(f.interval)
	defer ticker.Stop()
	var keys []kubeapi.Key
	var known map[kubeapi.Key]Secret
	for {
		select {
		case <-ctx.Done():
			return
		case keys = <-f.want:
		case <-ticker.C:
		}
		next := map[kubeapi.Key]Secret{}
		for _, key := range keys {
			secret, err := f.client.Secret(ctx, key)
			next[key] = Secret{secret, err}
		}
		if ctx.Err() == nil && !maps.EqualFunc(known, next, Secret.same) {
			known = next
			latest.Send(f.out, next)
		}
	}
}
