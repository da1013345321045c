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
)

// steady is how long a watch without events must have lasted to count as one that
// works.
const steady = time.Second

var (
	// errAtOnce is of a watch that the server ended before it was of any use.
	errAtOnce = errors.New("it ended at once")
	// errDue is the cause of a watch's end that the next list is due.
	errDue = errors.New("the next list is due")
)

// watchEnd is how a watch ended.
type watchEnd struct {
	opened   bool  // the server agreed to it
	listed   bool  // it began with a streamed list, which was complete
	progress bool  // it was of use: it brought an event, or lasted
	err      error // nil when it lasted and the server ended it
}

// watch is one running watch.
type watch struct {
	r      *reflector
	ctx    context.Context
	cancel context.CancelCauseFunc
	server *url.URL // that is asked

	silence *time.Timer // ends the watch when nothing has come for too long
	due     *time.Timer // ends the watch when the next list is due; nil in a streamed list

	gathered map[Key]object // of a streamed list up to its end, then nil
	end      watchEnd
}

// stream runs one watch from the reflector's version to its end.
func (r *reflector) stream(ctx context.Context) watchEnd {
	w := &watch{r: r, server: r.c.servers.current()}
	return w.run(ctx)
}

// streamList runs a watch that begins with a streamed list (KEP-3157), which is
// adopted when it is complete.
func (r *reflector) streamList(ctx context.Context) watchEnd {
	w := &watch{r: r, server: r.c.servers.current(), gathered: make(map[Key]object)}
	return w.run(ctx)
}

func (w *watch) run(ctx context.Context) watchEnd {
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	defer w.cancel(nil)
	w.silence = time.AfterFunc(w.r.c.timeouts.answer, func() { w.cancel(errNoAnswer) })
	defer w.silence.Stop()
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
		err = errAtOnce
	case context.Cause(w.ctx) == errNoAnswer && w.end.opened:
		err = errSilent
	}
	w.end.err = fmt.Errorf("watch %s: %w", w.r.src, w.r.c.requestError(w.ctx, err))
	return w.end
}

// limit makes the watch end when the next list is due.
func (w *watch) limit() {
	w.due = time.AfterFunc(time.Until(w.r.due), func() { w.cancel(errDue) })
	w.r.watching.Store(w)
}

// follow passes the events on up to the watch's end, which is io.EOF when the
// server ended it.
func (w *watch) follow() error {
	resp, err := w.open()
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	w.end.opened = true
	strings := w.r.strings
	if w.gathered != nil {
		strings = make(interner)
	}
	events := newEventReader(resp, w.r.src.resource, strings)
	began := time.Now()
	for {
		w.silence.Reset(w.patience())
		e, err := events.next()
		if err == nil {
			err = w.event(e, strings)
		}
		if err != nil {
			w.r.tell(err)
			w.end.progress = w.end.progress || time.Since(began) >= steady
			return err
		}
		w.end.progress = true
		if w.gathered == nil {
			w.r.works()
		}
	}
}

// patience returns how long the watch may be silent.
func (w *watch) patience() time.Duration {
	if w.gathered != nil {
		return w.r.c.timeouts.initial
	}
	return w.r.c.timeouts.silence
}

// open asks for the watch and returns its answer, a success.
func (w *watch) open() (*http.Response, error) {
	c, src := w.r.c, w.r.src
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, src.resource.url(w.server, src.namespace, w.query()), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	// From 1.37 on streamed lists come gzipped, each event by itself: less than a
	// list gains, for half again the work of either side.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, c.answerError(resp, "watch", src.resource)
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
	// Without a resourceVersion the list is no older than the request.
	query.Set("sendInitialEvents", "true")
	query.Set("resourceVersionMatch", "NotOlderThan")
	return query
}

// event takes one event in.
func (w *watch) event(e watchEvent, strings interner) error {
	switch {
	case e.kind == "ERROR":
		return e.status
	case w.gathered == nil:
		w.r.event(w.ctx, e)
	case e.mark.listed:
		w.listed(e.mark.version, strings)
	case e.kind == "DELETED":
		delete(w.gathered, e.object.key())
	case e.object != nil:
		w.gathered[e.object.key()] = e.object
		w.r.c.board.read(w.r.src, len(w.gathered))
	}
	return nil
}

// listed adopts what was gathered; from here on it is a watch as any other.
func (w *watch) listed(version string, strings interner) {
	l := &listing{version: version, strings: strings, objects: make([]object, 0, len(w.gathered))}
	for _, o := range w.gathered {
		l.objects = append(l.objects, o)
	}
	w.gathered = nil
	w.end.listed = true
	w.r.c.servers.works(w.server)
	w.r.adopt(w.ctx, l)
	w.limit()
}
