// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"sync"
	"time"
)

// Follow sends a Snapshot to out after every change and after every complete list,
// until ctx ends, and returns ctx.Err(). Changes within 20 ms of a Snapshot are
// gathered into the next one. While the server is away, which is logged once, it
// retries. What cannot be listed in one namespace does not delay the Snapshots of the
// others, see Snapshot.Unread.
//
// Out must have a capacity of 1 and no other sender: a Snapshot that was not
// received yet is replaced by a newer one. Follow does not close it.
func (c *Client) Follow(ctx context.Context, out chan *Snapshot) error {
	if cap(out) != 1 {
		panic("kubeapi: Follow needs a channel of capacity 1")
	}
	f := newFollower(c, c.sources(), out)
	defer f.stop()
	var running sync.WaitGroup
	defer running.Wait()
	reflectors := make([]*reflector, len(f.sources))
	for i, src := range f.sources {
		r := newReflector(c, src, f.receive)
		reflectors[i] = r
		running.Go(func() { r.run(ctx) })
	}
	refresh := time.NewTicker(c.timeouts.refresh)
	defer refresh.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-refresh.C:
			c.Refresh()
		case <-c.relist:
			f.relist()
			for _, r := range reflectors {
				r.relist()
			}
		}
	}
}

// Relist makes Follow list every resource now, although watches run: the next
// Snapshot with a larger Complete has lists that were requested after the call. If
// the server is away, they are requested when it returns. A call during a list may
// have no effect, so a caller that waits for the list calls again after a while.
// Relist does not wait and may be called concurrently.
func (c *Client) Relist() {
	select {
	case c.relist <- struct{}{}:
	default:
	}
}

// offer sends s. It replaces an older Snapshot that was not received yet.
func offer(out chan *Snapshot, s *Snapshot) {
	for {
		select {
		case out <- s:
			return
		default:
		}
		select {
		case old := <-out:
			s.Since = old.Since // its changes are only in s now
		default:
		}
	}
}
