// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// watchAttempts is how many watches may fail in a row, without a single event,
// before the source is listed again: an event that cannot be read would
// otherwise stand in the way for ever.
const watchAttempts = 3

// update is what a reflector learned. At most one of list and object is set;
// neither means that the server answered, or err why it did not.
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

	version    string // of the last list, event or bookmark
	backoff    backoff
	refused    bool      // the server refused to be watched, which was told
	watchAgain time.Time // when a refused watch is asked for again
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
	r.version = l.version
	r.send(ctx, update{list: l})
}

// watch follows the source from its version until it must be listed again.
func (r *reflector) watch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, jitter(r.c.cfg.ResyncInterval, 10))
	defer cancel()
	for failures := 0; failures < watchAttempts; {
		progress, err := r.stream(ctx)
		if ctx.Err() != nil {
			return // the list is due, or it is over
		}
		if progress {
			failures = 0
		}
		if progress && !errors.Is(err, errUnreadable) {
			r.backoff.reset()
		}
		switch code := statusCode(err); {
		case code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
			r.refuse(err)
			return
		case code == http.StatusGone, errors.Is(err, errUnreadable):
			r.log.Debug("listing again", "err", err)
			if !progress || code != http.StatusGone {
				r.backoff.wait(ctx)
			}
			return
		case err == nil && progress:
			continue // the end that timeoutSeconds asked for
		case err != nil:
			r.log.Debug("watch broke", "err", err)
			failures++
		}
		r.backoff.wait(ctx)
	}
}

// refuse falls back to polling until the next resync.
func (r *reflector) refuse(err error) {
	r.watchAgain = time.Now().Add(jitter(r.c.cfg.ResyncInterval, 10))
	if !r.refused {
		r.refused = true
		r.log.Warn("watch refused, polling", "err", err)
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
