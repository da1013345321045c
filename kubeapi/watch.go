// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// watchTimeout is the longest that the server is asked to keep a watch, less
	// up to half of it by chance.
	watchTimeout = 10 * time.Minute
	// watchGrace is how long past its time a watch may go on.
	watchGrace = 30 * time.Second
	// steady is how long a watch without events must have lasted to count as
	// one that works.
	steady = time.Second
)

// errAtOnce is of a watch that the server ended before it was of any use.
var errAtOnce = errors.New("it ended at once")

// watchEnd is how a watch ended.
type watchEnd struct {
	opened   bool  // the server agreed to it
	progress bool  // it was of use: it brought an event, or lasted
	err      error // nil when it lasted and the server ended it
}

// stream runs one watch from the reflector's version to its end.
func (r *reflector) stream(ctx context.Context) (end watchEnd) {
	defer func() {
		if end.err != nil {
			end.err = fmt.Errorf("watch %s: %w", r.src, end.err)
		}
	}()
	lasts := jitter(watchTimeout, 2)
	inTime, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := r.openWatch(inTime, cancel, lasts)
	if err != nil {
		return watchEnd{err: err}
	}
	defer resp.Body.Close()
	late := time.AfterFunc(lasts+watchGrace, func() { cancel(errNoAnswer) })
	defer late.Stop()

	began := time.Now()
	progress, err := r.events(ctx, newEventReader(resp, r.src.resource, r.strings))
	end = watchEnd{opened: true, progress: progress || time.Since(began) >= steady, err: err}
	if err == io.EOF {
		end.err = nil
		if !end.progress {
			end.err = errAtOnce
		}
	}
	return end
}

// events passes the events of a watch on up to its end, which is io.EOF when the
// server ended it, and reports whether there were any.
func (r *reflector) events(ctx context.Context, events eventReader) (progress bool, err error) {
	for {
		e, err := events.next()
		if err != nil {
			r.tell(err)
			return progress, err
		}
		if err := r.event(ctx, e); err != nil {
			return progress, err
		}
		progress = true
		r.works()
	}
}

// openWatch asks for a watch and returns its answer, a success. It cancels ctx
// when the head of the answer does not come.
func (r *reflector) openWatch(ctx context.Context, cancel context.CancelCauseFunc, lasts time.Duration) (*http.Response, error) {
	query := r.c.query(r.src)
	query.Set("watch", "true")
	query.Set("allowWatchBookmarks", "true")
	query.Set("resourceVersion", r.version)
	query.Set("timeoutSeconds", strconv.Itoa(int(lasts.Seconds())))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.src.resource.url(r.c.server, r.src.namespace, query), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	late := time.AfterFunc(r.c.timeouts.answer, func() { cancel(errNoAnswer) })
	defer late.Stop()
	resp, err := r.c.http.Do(req)
	if err != nil {
		return nil, r.c.requestError(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, r.c.answerError(resp, "watch", r.src.resource)
	}
	return resp, nil
}

// event passes one event on, and remembers its version to go on from. An object
// that cannot be decoded is told, and ends the watch: a list shows what it came
// to.
func (r *reflector) event(ctx context.Context, e watchEvent) error {
	switch e.kind {
	case "ADDED", "MODIFIED", "DELETED":
		r.unreadable = false
		r.version = e.object.version()
		// Leaving the label selector is a deletion as well.
		r.send(ctx, update{object: e.object, deleted: e.kind == "DELETED"})
	case "BOOKMARK":
		r.version = e.mark.version
	case "ERROR":
		return e.status
	}
	return nil // or a type of tomorrow
}

// tell says once that an event cannot be read.
func (r *reflector) tell(err error) {
	e, ok := errors.AsType[*unreadableError](err)
	if !ok || r.unreadable {
		return
	}
	r.unreadable = true
	r.log.Warn("watch event unreadable, listing again", r.src.resource.logKey(), e.key.String(), "err", e.err)
}
