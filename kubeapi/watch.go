// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"podgate/kubeapi/wire"
)

// steady is how long a watch without events must last to count as working.
const steady = time.Second

// errDue ends a watch because the next list is due.
var errDue = errors.New("the next list is due")

// watchEnd is how a watch ended.
type watchEnd struct {
	opened   bool  // the server answered with 200
	listed   bool  // it began with a streamed list, which is complete
	progress bool  // it had an event, or lasted
	err      error // nil if the server ended it after progress
}

// watch is one running watch.
type watch struct {
	r      *reflector
	ctx    context.Context
	cancel context.CancelCauseFunc
	server *url.URL
	opened time.Time // when the server answered with 200

	stalled *time.Timer // ends the watch after too long without an event
	due     *time.Timer // ends the watch when the next list is due; nil during a streamed list

	gathered map[Key]wire.Object // of a streamed list up to its end, then nil
	share    *wire.Share         // of these objects
	end      watchEnd
}

// stream runs one watch from the reflector's version on.
func (r *reflector) stream(ctx context.Context) watchEnd {
	w := &watch{r: r, server: r.c.servers.current()}
	return w.run(ctx)
}

// streamList runs a watch that begins with a streamed list (KEP-3157), which is
// adopted once it is complete.
func (r *reflector) streamList(ctx context.Context) watchEnd {
	w := &watch{r: r, server: r.c.servers.current(), gathered: make(map[Key]wire.Object)}
	return w.run(ctx)
}

func (w *watch) run(ctx context.Context) watchEnd {
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	defer w.cancel(nil)
	answer := w.r.c.timeouts.answer
	w.stalled = time.AfterFunc(answer, func() { w.cancel(noAnswerError{answer}) })
	defer w.stalled.Stop()
	if w.gathered == nil {
		w.limit()
	}
	err := w.follow()
	w.r.watching.Store(nil)
	if w.due != nil {
		w.due.Stop()
	}
	if context.Cause(w.ctx) == errDue {
		w.r.due = time.Now()
	}
	switch {
	case err == io.EOF && w.end.progress:
		return w.end
	case err == io.EOF:
		err = fmt.Errorf("the server closed it after %v (is a proxy in between?)", time.Since(w.opened).Round(time.Millisecond))
	case w.end.opened && is[noAnswerError](context.Cause(w.ctx)):
		err = stalledError{w.patience()}
	default:
		err = w.r.c.requestError(w.ctx, err)
	}
	w.end.err = fmt.Errorf("watch %s: %w", w.r.src, err)
	return w.end
}

// limit makes the watch end when the next list is due.
func (w *watch) limit() {
	w.due = time.AfterFunc(time.Until(w.r.due), func() { w.cancel(errDue) })
	w.r.watching.Store(w)
}

// follow passes on the events up to the end of the watch, which is io.EOF if the
// server ended it.
func (w *watch) follow() error {
	resp, err := w.open()
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	w.end.opened, w.opened = true, time.Now()
	strings := w.r.strings
	share := w.r.c.budget.Share()
	if w.gathered != nil {
		strings = make(wire.Interner)
		w.share = w.r.c.budget.Share()
		defer func() { w.share.Release() }() // unless listed has passed it on
	}
	body := wire.NewMeter(resp.Body, share)
	defer body.Close()
	events := wire.NewEventReader(resp.Header.Get("Content-Type"), body, w.r.src.resource, strings)
	for {
		w.stalled.Reset(w.patience())
		e, err := events.Next()
		if err == nil {
			err = w.event(e, strings)
		}
		if err != nil {
			w.r.logUnreadable(err)
			w.end.progress = w.end.progress || time.Since(w.opened) >= steady
			return err
		}
		w.end.progress = true
		if w.gathered == nil {
			w.r.watchWorks()
		}
	}
}

// patience returns how long the watch may be without an event.
func (w *watch) patience() time.Duration {
	if w.gathered != nil {
		return w.r.c.timeouts.initial
	}
	return w.r.c.timeouts.event
}

// open requests the watch and returns its answer, with status 200.
func (w *watch) open() (*http.Response, error) {
	c, src := w.r.c, w.r.src
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, src.url(w.server, w.query()), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", wire.Accept)
	// From 1.37 on each event of a streamed list is gzipped by itself, which saves
	// less than in a list and costs both sides half again the CPU.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, c.answerError(resp, "watch", src)
	}
	return resp, nil
}

func (w *watch) query() url.Values {
	query := w.r.c.query(w.r.src)
	query.Set("watch", "true")
	query.Set("allowWatchBookmarks", "true")
	query.Set("timeoutSeconds", strconv.Itoa(int(jitter(w.r.c.timeouts.watch, 2).Seconds())))
	if w.gathered == nil {
		query.Set("resourceVersion", w.r.version)
		return query
	}
	// Without a resourceVersion the list is not older than the request.
	query.Set("sendInitialEvents", "true")
	query.Set("resourceVersionMatch", "NotOlderThan")
	return query
}

// event processes one event.
func (w *watch) event(e wire.Event, strings wire.Interner) error {
	switch {
	case e.Kind == "ERROR":
		return &statusError{code: e.Status.Code, message: e.Status.Message}
	case w.gathered == nil:
		return w.r.event(w.ctx, e)
	case e.Bookmark.Listed:
		w.listed(e.Bookmark.Version, strings)
	case e.Kind == "DELETED":
		delete(w.gathered, e.Object.ObjectKey())
	case e.Object != nil:
		if err := w.share.Grow(wire.Size(e.Object)); err != nil {
			return err
		}
		w.gathered[e.Object.ObjectKey()] = e.Object
		w.r.c.tracker.countObjects(w.r.src, len(w.gathered))
	}
	return nil
}

// listed adopts the gathered objects as a list. From now on the watch is a plain one.
func (w *watch) listed(version string, strings wire.Interner) {
	l := &wire.List{Version: version, Strings: strings, Share: w.share, Objects: make([]wire.Object, 0, len(w.gathered))}
	for _, o := range w.gathered {
		l.Objects = append(l.Objects, o)
	}
	w.gathered, w.share = nil, nil
	w.end.listed = true
	w.r.c.servers.succeeded(w.server)
	w.r.adopt(w.ctx, l)
	w.limit()
}
