// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"podgate/kubeapi/wire"
)

const (
	// watchAttempts is how many watches in a row may end without an event before
	// the source is polled.
	watchAttempts = 3
	// watchPause is the longest time until the next watch is tried then.
	watchPause = time.Minute
	// streamPause is the longest time until a streamed list is tried again after the
	// server rejected one: it may be upgraded in between.
	streamPause = time.Hour
)

// update is the result of one list or one event. If neither list nor object is set,
// the list failed with err.
type update struct {
	src     source
	err     error
	list    *wire.List
	object  wire.Object
	deleted bool // object was deleted
}

// reflector keeps one source up to date: it lists, then watches until the next list
// is due, or polls where watches fail.
type reflector struct {
	c   *Client
	src source
	log *slog.Logger
	out func(update) error

	version       string        // resourceVersion of the last list, event or bookmark
	strings       wire.Interner // of the last list
	due           time.Time     // when the next list is due while a watch runs
	backoff       backoff
	down          bool      // the last list failed
	failures      int       // watches in a row without an event
	polling       bool      // since watches fail; logged
	nextWatch     time.Time // no watch is tried before
	nextStream    time.Time // no streamed list is tried before
	sawUnreadable bool      // the last event could not be decoded; logged
	sawTooLarge   bool      // the last watch ended with an event that is too large; logged

	watching atomic.Pointer[watch] // the watch that a list may end; nil while there is no such watch
}

func newReflector(c *Client, src source, out func(update) error) *reflector {
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

// relist ends a running watch, so that a list follows; without a watch the next list
// is due soon. It may be called concurrently with run.
func (r *reflector) relist() {
	if w := r.watching.Load(); w != nil {
		w.cancel(errDue)
	}
}

// watches reports whether to watch.
func (r *reflector) watches() bool {
	return r.c.cfg.Watch && !time.Now().Before(r.nextWatch)
}

// streams reports whether to stream the next list. While the server is down, a plain
// list has the better error.
func (r *reflector) streams() bool {
	return r.watches() && !r.down && !time.Now().Before(r.nextStream)
}

// list requests a plain list, and reports whether it succeeded.
func (r *reflector) list(ctx context.Context) bool {
	client := r.c.lists
	if r.down {
		client = r.c.singleLists // or each attempt would be three requests
	}
	l, err := r.c.list(ctx, client, r.src)
	if r.down = err != nil; r.down {
		_ = r.send(ctx, update{err: err})
		r.wait(ctx, err)
		return false
	}
	r.adopt(ctx, l)
	return true
}

// adopt makes a list the state of the source, even if it is older than the last
// one: etcd was restored from a backup then, and a watch from the newer version
// would never receive an event.
func (r *reflector) adopt(ctx context.Context, l *wire.List) {
	if compareVersions(l.Version, r.version) < 0 {
		r.log.Warn("resource version went backwards", "op", "list "+r.src.String(), "resource_version", l.Version, "last", r.version)
	}
	r.version, r.strings = l.Version, l.Strings
	r.c.tracker.countObjects(r.src, len(l.Objects))
	r.due = time.Now().Add(jitter(r.c.cfg.ResyncInterval, 10))
	_ = r.send(ctx, update{list: l})
}

// compareVersions orders two resourceVersions of one resource as decimals of
// any length (KEP-5504, Kubernetes 1.35). "" is older than any.
func compareVersions(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// listAndWatch streams a list and watches on until the next list is due. It returns
// false if the list failed: a plain list shows whether the server does not support
// streams or is down.
func (r *reflector) listAndWatch(ctx context.Context) bool {
	end := r.streamList(ctx)
	switch {
	case ctx.Err() != nil:
		return true
	case end.listed:
		if r.resumes(ctx, end) {
			r.watch(ctx)
		}
		return true
	}
	d := r.c.cfg.ResyncInterval
	if code := statusCode(end.err); code >= 400 && code < 500 && code != http.StatusTooManyRequests {
		d = max(d, streamPause)
	}
	r.nextStream = time.Now().Add(jitter(d, 10))
	r.log.Debug("list not streamed, listing", "err", end.err)
	if retryAfter(end.err) > 0 {
		r.wait(ctx, end.err)
	}
	return false
}

// watch watches the source from its version until it must be listed again. It does
// not report outages: the list that follows does.
func (r *reflector) watch(ctx context.Context) {
	for r.resumes(ctx, r.stream(ctx)) {
	}
}

// resumes reports whether another watch follows one that ended; else a list must.
func (r *reflector) resumes(ctx context.Context, end watchEnd) bool {
	if ctx.Err() != nil {
		return false
	}
	if end.progress {
		r.watchWorks()
	}
	r.sawTooLarge = r.sawTooLarge && errors.Is(end.err, wire.ErrTooLarge)
	r.c.tracker.watchEnded(r.cause(end))
	if !time.Now().Before(r.due) {
		return false
	}
	if !end.progress && !is[*wire.UnreadableError](end.err) { // an unreadable event was an event
		r.failures++
	}
	switch code := statusCode(end.err); {
	case code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		r.poll("watch rejected, polling", end.err, r.c.cfg.ResyncInterval)
		return false
	case r.failures >= watchAttempts:
		r.poll("watch fails, polling", end.err, min(watchPause, r.c.cfg.ResyncInterval))
		return false
	case end.err == nil, is[stalledError](end.err) && end.progress:
		return true // after timeoutSeconds, or on a dead connection
	case code == http.StatusGone && end.progress:
		return false
	case code == http.StatusGone, is[*wire.UnreadableError](end.err), errors.Is(end.err, wire.ErrTooLarge), !end.opened && mayBeDown(code):
		r.log.Debug("listing again", "err", end.err)
		r.wait(ctx, end.err)
		return false
	}
	r.log.Debug("watching again", "err", end.err)
	r.wait(ctx, end.err)
	return true
}

// cause returns which of WatchEnds ended a watch.
func (r *reflector) cause(end watchEnd) string {
	code := statusCode(end.err)
	switch {
	case !time.Now().Before(r.due):
		return "relist"
	case end.err == nil:
		return "timeout"
	case code == http.StatusGone:
		return "expired"
	case is[stalledError](end.err), is[noAnswerError](end.err):
		return "stalled"
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound,
		code == http.StatusMethodNotAllowed, code == http.StatusTooManyRequests:
		return "rejected"
	case is[*wire.UnreadableError](end.err), errors.Is(end.err, wire.ErrTooLarge):
		return "unreadable"
	case code == 0:
		return "disconnected"
	}
	return "error"
}

// mayBeDown reports whether the server may be down after a watch that was answered
// with code, zero for no answer: another server, or one with an older etcd, may
// answer next, so a list must come before a watch.
func mayBeDown(code int) bool {
	switch code {
	case 0, http.StatusUnauthorized, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// wait pauses after err for Retry-After or the backoff, whichever is longer.
func (r *reflector) wait(ctx context.Context, err error) {
	d := max(r.backoff.next(), stretch(retryAfter(err)))
	if errors.Is(err, wire.ErrTooLarge) {
		d = max(d, jitter(r.c.timeouts.tooLarge, 2))
	}
	pause(ctx, d)
}

// watchWorks resets the failures after an event, or a watch that lasted.
func (r *reflector) watchWorks() {
	r.failures = 0
	r.backoff.reset()
	if r.polling {
		r.polling = false
		r.c.tracker.pollEnded(r.src)
		r.log.Info("watch works, polling ended", "op", "watch "+r.src.String())
	}
}

// poll falls back to polling because of err; a watch is tried again after d, less up
// to a tenth.
func (r *reflector) poll(message string, err error, d time.Duration) {
	r.nextWatch = time.Now().Add(jitter(d, 10))
	if !r.polling {
		r.polling = true
		r.c.tracker.pollBegan(r.src)
		r.log.Warn(message, "err", err)
	}
}

// event passes on one event of a watch, and remembers its version for the next watch.
// The error is wire.ErrTooLarge.
func (r *reflector) event(ctx context.Context, e wire.Event) error {
	r.c.tracker.receive()
	switch e.Kind {
	case "ADDED", "MODIFIED", "DELETED":
		r.sawUnreadable = false
		r.version = e.Object.Version()
		// An object that leaves the label selector is DELETED, too.
		return r.send(ctx, update{object: e.Object, deleted: e.Kind == "DELETED"})
	case "BOOKMARK":
		r.version = e.Bookmark.Version
	}
	return nil
}

// logUnreadable logs once that an event cannot be decoded. The watch ends with it: a
// list shows the state of the object.
func (r *reflector) logUnreadable(err error) {
	if errors.Is(err, wire.ErrTooLarge) && !r.sawTooLarge {
		r.sawTooLarge = true
		r.log.Warn("watch event is too large, listing again", "op", "watch "+r.src.String(), "err", err)
	}
	e, ok := errors.AsType[*wire.UnreadableError](err)
	if !ok || r.sawUnreadable {
		return
	}
	r.sawUnreadable = true
	r.log.Warn("watch event unreadable, listing again", r.src.logKey(), e.Key.String(), "err", e.Err)
}

// send passes on u unless ctx has ended: its error may be caused by that.
// The error is wire.ErrTooLarge: the object of u was not applied then.
func (r *reflector) send(ctx context.Context, u update) error {
	if ctx.Err() != nil {
		return nil
	}
	u.src = r.src
	return r.out(u)
}
