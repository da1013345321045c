// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"sync"
	"time"

	"podgate/kubeapi/wire"
)

// Follow sends a Snapshot to out after every change and after every complete list,
// until ctx ends, and returns ctx.Err(). Changes within 20 ms of a Snapshot are
// gathered into the next one. While the server is away, which is logged once, it
// retries.
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

// follower gathers the updates of all sources. The reflectors call it directly:
// with a goroutine in between, each event would have to wake a thread.
type follower struct {
	c       *Client
	sources []source
	out     chan *Snapshot

	mu       sync.Mutex // guards what follows
	store    *store
	unlisted map[source]bool           // since the last complete list
	complete int                       // complete lists so far
	unread   map[source]map[Key]string // errors of objects that could not be decoded, as logged
	since    time.Time                 // of the oldest change that was not sent; zero for none
	coalesce coalescer
}

func newFollower(c *Client, sources []source, out chan *Snapshot) *follower {
	f := &follower{
		c:        c,
		out:      out,
		store:    newStore(),
		sources:  sources,
		unlisted: make(map[source]bool),
		unread:   make(map[source]map[Key]string),
	}
	f.coalesce = coalescer{lock: &f.mu, send: f.send}
	f.restart()
	return f
}

// receive applies u, and sends a Snapshot when one is due. It may be called
// concurrently.
func (f *follower) receive(u update) {
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

// relist begins a complete list to which no list so far belongs.
func (f *follower) relist() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restart()
}

// stop ends sending.
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

// apply applies u and reports whether it needs a Snapshot: never before the first
// complete list.
func (f *follower) apply(u update) bool {
	f.c.tracker.report(u.src, u.err)
	changed := false
	switch {
	case u.list != nil:
		changed = f.store.replace(u.src, u.list)
		f.logUnread(u.src, u.list.Unread)
		if f.listed(u.src) {
			return true
		}
	case u.src.resource == wire.Nodes && u.err != nil && u.object == nil:
		if f.listed(u.src) { // nodes are optional
			return true
		}
	case u.object != nil && u.deleted:
		changed = f.store.remove(u.src.resource, u.object.ObjectKey())
	case u.object != nil:
		changed = f.store.put(u.object)
	}
	return changed && f.complete > 0
}

// listed notes that src was listed, and reports whether it was the last source of a
// complete list.
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

// logUnread logs the objects of a list that could not be decoded, each once until
// its error changes.
func (f *follower) logUnread(src source, unread map[Key]error) {
	texts := make(map[Key]string, len(unread))
	for key, err := range unread {
		texts[key] = err.Error()
		if f.unread[src][key] != texts[key] {
			f.c.log.Warn("object unreadable, keeping its last state", src.logKey(), key.String(), "err", err)
		}
	}
	f.unread[src] = texts
}
