// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"sync"
	"time"

	"podgate/kubeapi/wire"
)

// Follow sends a Snapshot to out after every change and after every complete
// list, until ctx ends, and returns ctx.Err(). A change after a while of none is
// sent at once, those behind it are gathered. It waits for a server that is not
// there, and tells so once.
//
// Out must have a capacity of 1 and no other sender: a Snapshot that nobody has
// taken yet is replaced by the newer one. Follow does not close it.
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
		r := newReflector(c, src, f.take)
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
				r.hurry()
			}
		}
	}
}

// Relist asks Follow for a complete list of every resource now, beside the
// watches: the next Snapshot that counts one more in Complete holds what lists
// of after the call say. Where the server is away, that is when it is back. A
// call while a list is on its way may have no effect; who waits for the list asks
// again after a while. It does not wait and may be called concurrently.
func (c *Client) Relist() {
	select {
	case c.relist <- struct{}{}:
	default:
	}
}

// offer sends s, in the place of an older Snapshot if there is one.
func offer(out chan *Snapshot, s *Snapshot) {
	for {
		select {
		case out <- s:
			return
		default:
		}
		select {
		case old := <-out:
			s.Since = old.Since // nobody has seen what it holds
		default:
		}
	}
}

// follower gathers the updates of all sources. Its reflectors call it by
// themselves: one more goroutine between would cost each event a thread that
// wakes up.
type follower struct {
	c       *Client
	sources []source
	out     chan *Snapshot

	mu       sync.Mutex // guards what follows
	store    *store
	unlisted map[source]bool // since the last complete list
	complete int             // complete lists so far
	told     map[source]map[Key]string
	since    time.Time // when the oldest change came that was not sent; zero for none
	coalesce coalescer
}

func newFollower(c *Client, sources []source, out chan *Snapshot) *follower {
	f := &follower{
		c:        c,
		out:      out,
		store:    newStore(),
		sources:  sources,
		unlisted: make(map[source]bool),
		told:     make(map[source]map[Key]string),
	}
	f.coalesce = coalescer{lock: &f.mu, send: f.send}
	f.restart()
	return f
}

// take takes u in, and sends a Snapshot when one is due. It may be called
// concurrently.
func (f *follower) take(u update) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.apply(u) {
		return
	}
	if f.since.IsZero() {
		f.since = time.Now()
	}
	f.coalesce.changed()
}

func (f *follower) send() {
	s := f.store.snapshot(f.complete)
	s.Since, f.since = f.since, time.Time{}
	offer(f.out, s)
}

// relist makes the next complete list one of which nothing has come yet.
func (f *follower) relist() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restart()
}

// stop ends it: nothing is sent any more.
func (f *follower) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.coalesce.stop()
}

// restart begins the next complete list.
func (f *follower) restart() {
	for _, src := range f.sources {
		f.unlisted[src] = true
	}
}

// apply takes u in and reports whether a Snapshot is due for it: never before
// the first complete list.
func (f *follower) apply(u update) bool {
	f.c.tracker.report(u.src, u.err)
	changed := false
	switch {
	case u.list != nil:
		changed = f.store.replace(u.src, u.list)
		f.tell(u.src, u.list.Unread)
		if f.listed(u.src) {
			return true
		}
	case u.src.resource == wire.Nodes && u.err != nil && u.object == nil:
		if f.listed(u.src) { // as far as the others are concerned
			return true
		}
	case u.object != nil && u.deleted:
		changed = f.store.remove(u.src.resource, u.object.ObjectKey())
	case u.object != nil:
		changed = f.store.put(u.object)
	}
	return changed && f.complete > 0
}

// listed notes that a source was listed, and reports whether it was the last one
// of a complete list.
func (f *follower) listed(src source) bool {
	delete(f.unlisted, src)
	if len(f.unlisted) > 0 {
		return false
	}
	f.complete++
	f.c.tracker.complete()
	f.restart()
	return true
}

// tell logs the objects of a list that could not be decoded, each once as long
// as it stays so.
func (f *follower) tell(src source, unread map[Key]error) {
	told := make(map[Key]string, len(unread))
	for key, err := range unread {
		told[key] = err.Error()
		if f.told[src][key] != told[key] {
			f.c.log.Warn("object unreadable, keeping its last state", src.logKey(), key.String(), "err", err)
		}
	}
	f.told[src] = told
}
