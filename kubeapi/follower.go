// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"sync"
	"time"

	"podgate/kubeapi/wire"
)

// follower gathers the updates of all sources. The reflectors call it directly:
// with a goroutine in between, each event would have to wake a thread.
type follower struct {
	c       *Client
	sources []source
	out     chan *Snapshot

	mu       sync.Mutex // guards what follows
	store    *store
	round    round                     // the complete list that is gathered now
	complete int                       // complete lists so far
	known    bool                      // Services were known before the first list
	read     map[source]bool           // sources that were listed at least once
	failing  map[source]bool           // sources that the server forbids, and nodes that cannot be listed
	shares   map[source]*wire.Share    // of the objects in store; nil before the first list
	patience *time.Timer               // ends the wait for the sources that are not read; nil before one is usable
	partial  bool                      // that wait is over
	unread   map[source]map[Key]string // errors of objects that could not be decoded, as logged
	since    time.Time                 // of the oldest change that was not sent; zero for none
	coalesce coalescer
}

// round is a complete list: one list of every source that can be listed.
type round struct {
	unlisted map[source]bool // sources that were not listed in it so far
	lists    int             // lists in it so far
}

// patience is how long the first Snapshot waits for sources that neither fail nor answer,
// or fail in a way that may pass, after others can be used.
const patience = 3 * time.Second

func newFollower(c *Client, sources []source, out chan *Snapshot) *follower {
	f := &follower{
		c:       c,
		out:     out,
		store:   newStore(),
		sources: sources,
		known:   c.cfg.Known != nil,
		read:    make(map[source]bool),
		shares:  make(map[source]*wire.Share),
		failing: make(map[source]bool),
		unread:  make(map[source]map[Key]string),
	}
	for _, svc := range c.cfg.Known {
		if c.cfg.follows(svc.Namespace) {
			f.store.put(svc)
		}
	}
	f.coalesce = coalescer{lock: &f.mu, send: f.send}
	f.restart()
	return f
}

// receive applies u, and sends a Snapshot when one is due. It may be called
// concurrently.
// The error is wire.ErrTooLarge: u is an event that the Budget does not allow, and was not
// applied.
func (f *follower) receive(u update) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.object != nil {
		if err := f.charge(u); err != nil {
			return err
		}
	}
	if f.apply(u) {
		f.changed()
	}
	return nil
}

// charge counts the object of u instead of the one that it replaces.
func (f *follower) charge(u update) error {
	var size int64
	if !u.deleted {
		size = wire.Size(u.object)
	}
	if old := f.store.object(u.src.resource, u.object.ObjectKey()); old != nil {
		size -= wire.Size(old)
	}
	return f.shares[u.src].Grow(size)
}

// changed makes a Snapshot due.
func (f *follower) changed() {
	if f.since.IsZero() {
		f.since = time.Now()
	}
	f.coalesce.changed()
}

func (f *follower) send() {
	s := f.store.snapshot(f.complete)
	for _, src := range f.sources {
		if src.resource == wire.EndpointSlices && !f.read[src] {
			s.Unread = append(s.Unread, src.namespace)
		}
	}
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
	if f.patience != nil {
		f.patience.Stop()
	}
}

// restart begins the next complete list.
func (f *follower) restart() {
	f.round = round{unlisted: make(map[source]bool, len(f.sources))}
	for _, src := range f.sources {
		f.round.unlisted[src] = true
	}
}

// apply applies u and reports whether it needs a Snapshot: never before the first
// complete list.
func (f *follower) apply(u update) bool {
	f.c.tracker.report(u.src, u.err)
	changed := false
	switch {
	case u.list != nil:
		first := !f.read[u.src]
		f.read[u.src] = true
		f.shares[u.src].Release()
		f.shares[u.src] = u.list.Share
		delete(f.failing, u.src)
		changed = f.store.replace(u.src, u.list) || first
		f.logUnread(u.src, u.list.Unread)
		delete(f.round.unlisted, u.src)
		f.round.lists++
		if f.completes() {
			return true
		}
	case u.object == nil:
		f.failing[u.src] = u.src.resource == wire.Nodes || classify(u.src, u.err).kind == Forbidden
		if f.completes() {
			return true
		}
	case u.deleted:
		changed = f.store.remove(u.src.resource, u.object.ObjectKey())
	default:
		changed = f.store.put(u.object)
	}
	return changed && f.complete > 0
}

// completes reports whether the complete list is complete now: every source was listed,
// except those that the server forbids and, after a while, those that could not be
// listed yet. It begins the next one then.
func (f *follower) completes() bool {
	if f.round.lists == 0 || !f.usable() {
		return false
	}
	all := true
	for src := range f.round.unlisted {
		given := f.partial || f.complete > 0 // time to list it at least once
		if !f.failing[src] && (f.read[src] || !given) {
			f.wait()
			return false
		}
		all = all && src.resource == wire.Nodes // nodes are optional
	}
	f.complete++
	f.c.tracker.complete(all)
	f.restart()
	return true
}

// usable reports whether what was read is worth a first Snapshot. With known Services
// that is any list; without, all of one namespace, so that a machine that has served
// nothing yet does not count as serving an empty cluster.
func (f *follower) usable() bool {
	if f.complete > 0 {
		return true
	}
	for _, src := range f.sources {
		switch {
		case f.c.cfg.Whole && !f.read[src] && src.resource != wire.Nodes:
			return false
		case !f.c.cfg.Whole && f.read[src] && (f.known || src.resource == wire.Services && f.read[source{wire.EndpointSlices, src.namespace}]):
			return true
		}
	}
	return f.c.cfg.Whole
}

// wait limits how long the first complete list waits for the sources that were not
// listed.
func (f *follower) wait() {
	if f.complete > 0 || f.patience != nil {
		return
	}
	f.patience = time.AfterFunc(patience, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.partial = true
		if f.complete == 0 && f.completes() {
			f.changed()
		}
	})
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
