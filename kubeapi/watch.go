// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"encoding/json"
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

var (
	// errUnreadable is of an event that is JSON, but not what it should be.
	errUnreadable = errors.New("unreadable object")
	// errAtOnce is of a watch that the server ended before it was of any use.
	errAtOnce = errors.New("it ended at once")
)

// watchEvent is one line of a watch (Kubernetes API concepts, "Efficient
// detection of changes").
type watchEvent struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

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
	progress, err := r.events(ctx, json.NewDecoder(resp.Body))
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
func (r *reflector) events(ctx context.Context, dec *json.Decoder) (progress bool, err error) {
	for {
		var e watchEvent
		if err := dec.Decode(&e); err != nil {
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
	req.Header.Set("Accept", "application/json")
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

// event passes one event on, and remembers its version to go on from.
func (r *reflector) event(ctx context.Context, e watchEvent) error {
	switch e.Type {
	case "ADDED", "MODIFIED", "DELETED":
		return r.change(ctx, e)
	case "BOOKMARK":
		var mark struct {
			Metadata struct {
				ResourceVersion string `json:"resourceVersion"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(e.Object, &mark); err != nil || mark.Metadata.ResourceVersion == "" {
			return fmt.Errorf("%w: bookmark without a version", errUnreadable)
		}
		r.version = mark.Metadata.ResourceVersion
		return nil
	case "ERROR":
		var status struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(e.Object, &status); err != nil {
			return fmt.Errorf("%w: %v", errUnreadable, err)
		}
		return &statusError{code: status.Code, message: status.Message}
	}
	return nil // a type of tomorrow
}

// change passes on that one object was added, changed or deleted. Leaving the
// label selector is a deletion as well. One that cannot be decoded is told, and
// ends the watch: a list shows what it came to.
func (r *reflector) change(ctx context.Context, e watchEvent) error {
	o, key, err := r.src.resource.decode(func(v any) error { return json.Unmarshal(e.Object, v) }, nil)
	if err == nil && (key.Name == "" || o.version() == "") {
		err = errors.New("no name or no version")
	}
	if err != nil {
		if !r.unreadable {
			r.unreadable = true
			r.log.Warn("watch event unreadable, listing again", r.src.resource.logKey(), key.String(), "err", err)
		}
		return fmt.Errorf("%w: %v", errUnreadable, err)
	}
	r.unreadable = false
	r.version = o.version()
	r.send(ctx, update{object: o, deleted: e.Type == "DELETED"})
	return nil
}
