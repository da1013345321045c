// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"podgate/kubeapi/wire"
)

const (
	// watchAttempts is how many watches may fail in a row, without a single
	// event, before the source is polled instead.
	watchAttempts = 3
	// watchPause is how long it is polled then, at most.
	watchPause = time.Minute
	// streamPause is how long a server that does not stream lists is not asked
	// to, at most: it may be upgraded meanwhile.
	streamPause = time.Hour
)

// update is what a reflector learned. At most one of list and object is set;
// neither means that it could not be listed, and err says why.
type update struct {
	src     source
	err     error
	list    *wire.List
	object  wire.Object
	deleted bool // object is gone
}

// reflector keeps one source up to date: it lists, then watches until a list is
// due, or polls where there is no watch.
type reflector struct {
	c   *Client
	src source
	log *slog.Logger
	out func(update) // is given what it learns

	version     string        // of the last list, event or bookmark
	strings     wire.Interner // of the last list
	due         time.Time     // when the next list is, beside a watch
	backoff     backoff
	down        bool      // the last list failed
	failures    int       // watches in a row that were of no use
	polling     bool      // for want of a watch, which was told
	watchAgain  time.Time // when a watch is asked for again
	streamAgain time.Time // when a streamed list is asked for again
	unreadable  bool      // the last event could not be decoded, which was told

	watching atomic.Pointer[watch] // the watch that a list may cut short; nil while there is none
}

func newReflector(c *Client, src source, out func(update)) *reflector {
	longest := c.cfg.PollInterval
	if c.cfg.Watch {
		longest = min(longest, watchBackoff)
	}
	return &reflector{
		c:       c,
		src:     src,
		log:     c.log,
		out:     out,
		backoff: backoff{longest: longest},
	}
}

// run follows the source until ctx ends.
func (r *reflector) run(ctx context.Context) {
	for ctx.Err() == nil {
		switch {
		case r.streams() && r.listAndWatch(ctx):
		case !r.list(ctx):
		case r.watches():
			r.watch(ctx)
		default:
			r.backoff.reset()
			pause(ctx, jitter(r.c.cfg.PollInterval, 10))
		}
	}
}

// hurry makes the next list due now, where the source is watched; else it is
// listed soon anyway. It may be called concurrently with run.
func (r *reflector) hurry() {
	if w := r.watching.Load(); w != nil {
		w.cancel(errDue)
	}
}

// watches reports whether a watch is to be asked for.
func (r *reflector) watches() bool {
	return r.c.cfg.Watch && !time.Now().Before(r.watchAgain)
}

// streams reports whether a streamed list is to be asked for. While the server
// is down, plain lists tell what is wrong with it.
func (r *reflector) streams() bool {
	return r.watches() && !r.down && !time.Now().Before(r.streamAgain)
}

// list asks for a plain list, and reports whether it came.
func (r *reflector) list(ctx context.Context) bool {
	client := r.c.lists
	if r.down {
		client = r.c.probes // or an outage would be asked three times over
	}
	l, err := r.c.list(ctx, client, r.src)
	if r.down = err != nil; r.down {
		r.send(ctx, update{err: err})
		r.wait(ctx, err)
		return false
	}
	r.adopt(ctx, l)
	return true
}

// adopt takes a list as the truth, even one older than what was seen: etcd was
// restored from a backup then, and the server never delivers what a watch from
// the newer version waits for.
func (r *reflector) adopt(ctx context.Context, l *wire.List) {
	if compareVersions(l.Version, r.version) < 0 {
		r.log.Warn("resource version went backwards", "op", "list "+r.src.String(), "resource_version", l.Version, "last", r.version)
	}
	r.version, r.strings = l.Version, l.Strings
	r.c.tracker.read(r.src, len(l.Objects))
	r.due = time.Now().Add(jitter(r.c.cfg.ResyncInterval, 10))
	r.send(ctx, update{list: l})
}

// listAndWatch lists by a watch and goes on with it until the next list is due.
// It returns false when the list did not come: a plain list shows whether the
// server can do no better or is down.
func (r *reflector) listAndWatch(ctx context.Context) bool {
	end := r.streamList(ctx)
	switch {
	case ctx.Err() != nil:
		return true
	case end.listed:
		if r.goesOn(ctx, end) {
			r.watch(ctx)
		}
		return true
	}
	d := r.c.cfg.ResyncInterval
	if code := statusCode(end.err); code >= 400 && code < 500 && code != http.StatusTooManyRequests {
		d = max(d, streamPause)
	}
	r.streamAgain = time.Now().Add(jitter(d, 10))
	r.log.Debug("list not streamed, listing", "err", end.err)
	if retryAfter(end.err) > 0 {
		r.wait(ctx, end.err)
	}
	return false
}

// watch follows the source from its version until it must be listed again. It
// tells nothing of outages: the list that follows does.
func (r *reflector) watch(ctx context.Context) {
	for r.goesOn(ctx, r.stream(ctx)) {
	}
}

// goesOn reports whether the source is watched again after a watch ended, or
// must be listed.
func (r *reflector) goesOn(ctx context.Context, end watchEnd) bool {
	if ctx.Err() != nil {
		return false
	}
	if end.progress {
		r.works()
	}
	r.c.tracker.watchEnded(r.cause(end))
	if !time.Now().Before(r.due) {
		return false
	}
	if !end.progress && !isUnreadable(end.err) { // the watch is not to blame for that
		r.failures++
	}
	switch code := statusCode(end.err); {
	case code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		r.poll("watch rejected, polling", end.err, r.c.cfg.ResyncInterval)
		return false
	case r.failures >= watchAttempts:
		r.poll("watch fails, polling", end.err, min(watchPause, r.c.cfg.ResyncInterval))
		return false
	case end.err == nil, isStalled(end.err) && end.progress:
		return true // as timeoutSeconds asked for, or as a dead connection ends
	case code == http.StatusGone && end.progress:
		return false
	case code == http.StatusGone, isUnreadable(end.err), !end.opened && mayBeDown(code):
		r.log.Debug("listing again", "err", end.err)
		r.wait(ctx, end.err)
		return false
	}
	r.log.Debug("watching again", "err", end.err)
	r.wait(ctx, end.err)
	return true
}

// cause is which of WatchEnds a watch came to.
func (r *reflector) cause(end watchEnd) string {
	code := statusCode(end.err)
	switch {
	case !time.Now().Before(r.due):
		return "relist"
	case end.err == nil:
		return "timeout"
	case code == http.StatusGone:
		return "expired"
	case isStalled(end.err), isNoAnswer(end.err):
		return "stalled"
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound,
		code == http.StatusMethodNotAllowed, code == http.StatusTooManyRequests:
		return "rejected"
	case isUnreadable(end.err):
		return "unreadable"
	case code == 0:
		return "disconnected"
	}
	return "error"
}

// mayBeDown reports whether a watch that was refused with code, zero without an
// answer, leaves open whether the server that was there is there still: another
// one, or one with an older etcd, may answer next.
func mayBeDown(code int) bool {
	switch code {
	case 0, http.StatusUnauthorized, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// wait pauses after err: no shorter than the server asks for, nor than the
// backoff.
func (r *reflector) wait(ctx context.Context, err error) {
	pause(ctx, max(r.backoff.next(), stretch(retryAfter(err))))
}

// works notes that a watch is of use.
func (r *reflector) works() {
	r.failures = 0
	r.backoff.reset()
	if r.polling {
		r.polling = false
		r.c.tracker.poll(r.src, false)
		r.log.Info("watch works, polling ended", "op", "watch "+r.src.String())
	}
}

// poll falls back to polling, for d less some jitter, because of err.
func (r *reflector) poll(message string, err error, d time.Duration) {
	r.watchAgain = time.Now().Add(jitter(d, 10))
	if !r.polling {
		r.polling = true
		r.c.tracker.poll(r.src, true)
		r.log.Warn(message, "err", err)
	}
}

// event passes one event of a watch on, and remembers its version to go on from.
func (r *reflector) event(ctx context.Context, e wire.Event) {
	r.c.tracker.receive()
	switch e.Kind {
	case "ADDED", "MODIFIED", "DELETED":
		r.unreadable = false
		r.version = e.Object.Version()
		// Leaving the label selector is a deletion as well.
		r.send(ctx, update{object: e.Object, deleted: e.Kind == "DELETED"})
	case "BOOKMARK":
		r.version = e.Bookmark.Version
	}
}

// tell says once that an event cannot be read. The watch ends with it: a list
// shows what the object came to.
func (r *reflector) tell(err error) {
	e, ok := errors.AsType[*wire.UnreadableError](err)
	if !ok || r.unreadable {
		return
	}
	r.unreadable = true
	r.log.Warn("watch event unreadable, listing again", r.src.logKey(), e.Key.String(), "err", e.Err)
}

// send passes u on, or drops it when ctx has ended.
func (r *reflector) send(ctx context.Context, u update) {
	if ctx.Err() != nil {
		return // and what came of it is no news
	}
	u.src = r.src
	r.out(u)
}
