// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

const (
	// watchAttempts is how many watches may fail in a row, without a single
	// event, before the source is polled instead.
	watchAttempts = 3
	// watchPause is how long it is polled then, at most.
	watchPause = time.Minute
)

// update is what a reflector learned. At most one of list and object is set;
// neither means that it could not be listed, and err says why.
type update struct {
	src     source
	err     error
	list    *listing
	object  object
	deleted bool // object is gone
}

// reflector keeps one source up to date: it lists, then watches until a list is
// due, or polls where there is no watch.
type reflector struct {
	c   *Client
	src source
	log *slog.Logger
	out chan<- update // read by Follow until the reflector has ended

	version    string   // of the last list, event or bookmark
	strings    interner // of the last list
	backoff    backoff
	failures   int       // watches in a row that were of no use
	polling    bool      // for want of a watch, which was told
	watchAgain time.Time // when a watch is asked for again
	unreadable bool      // the last event could not be decoded, which was told
}

func newReflector(c *Client, src source, out chan<- update) *reflector {
	return &reflector{
		c:       c,
		src:     src,
		log:     c.log,
		out:     out,
		backoff: backoff{longest: c.cfg.PollInterval},
	}
}

// run follows the source until ctx ends.
func (r *reflector) run(ctx context.Context) {
	for ctx.Err() == nil {
		l, err := r.c.list(ctx, r.src)
		if err != nil {
			r.send(ctx, update{err: err})
			r.backoff.wait(ctx)
			continue
		}
		r.adopt(ctx, l)
		if r.c.cfg.Watch && !time.Now().Before(r.watchAgain) {
			r.watch(ctx)
			continue
		}
		r.backoff.reset()
		pause(ctx, jitter(r.c.cfg.PollInterval, 10))
	}
}

// adopt takes a list as the truth, even one older than what was seen: etcd was
// restored from a backup then, and the server never delivers what a watch from
// the newer version waits for.
func (r *reflector) adopt(ctx context.Context, l *listing) {
	if compareVersions(l.version, r.version) < 0 {
		r.log.Warn("resource version went backwards", "op", "list "+r.src.String(), "resource_version", l.version, "last", r.version)
	}
	r.version, r.strings = l.version, l.strings
	r.send(ctx, update{list: l})
}

// watch follows the source from its version until it must be listed again. It
// tells nothing of outages: the list that follows does.
func (r *reflector) watch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, jitter(r.c.cfg.ResyncInterval, 10))
	defer cancel()
	for {
		end := r.stream(ctx)
		if ctx.Err() != nil {
			return // the list is due, or it is over
		}
		switch {
		case end.progress:
			r.works()
		case !isUnreadable(end.err): // the watch is not to blame for that
			r.failures++
		}
		switch code := statusCode(end.err); {
		case code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
			r.poll("watch refused, polling", end.err, r.c.cfg.ResyncInterval)
			return
		case r.failures >= watchAttempts:
			r.poll("watch fails, polling", end.err, min(watchPause, r.c.cfg.ResyncInterval))
			return
		case end.err == nil:
			continue // as timeoutSeconds asked for
		case code == http.StatusGone && end.progress:
			return
		case code == http.StatusGone, isUnreadable(end.err), !end.opened && (code == 0 || code == http.StatusUnauthorized):
			r.log.Debug("listing again", "err", end.err)
			r.backoff.wait(ctx)
			return
		}
		r.log.Debug("watching again", "err", end.err)
		r.backoff.wait(ctx)
	}
}

// works notes that a watch is of use.
func (r *reflector) works() {
	r.failures = 0
	r.backoff.reset()
	if r.polling {
		r.polling = false
		r.log.Info("watch works, polling ended", "op", "watch "+r.src.String())
	}
}

// poll falls back to polling, for d less some jitter, because of err.
func (r *reflector) poll(message string, err error, d time.Duration) {
	r.watchAgain = time.Now().Add(jitter(d, 10))
	if !r.polling {
		r.polling = true
		r.log.Warn(message, "err", err)
	}
}

// send hands u to Follow, or drops it when ctx has ended.
func (r *reflector) send(ctx context.Context, u update) {
	if ctx.Err() != nil {
		return // and what came of it is no news
	}
	u.src = r.src
	select {
	case r.out <- u:
	case <-ctx.Done():
	}
}
