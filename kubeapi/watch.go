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

// errUnreadable is of an event that is JSON, but not what it should be.
var errUnreadable = errors.New("unreadable object")

// watchEvent is one line of a watch (Kubernetes API concepts, "Efficient
// detection of changes").
type watchEvent struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// stream runs one watch from the reflector's version to its end: nil when the
// server ended it, or the reason. Progress says whether it was of any use.
func (r *reflector) stream(ctx context.Context) (progress bool, err error) {
	lasts := jitter(watchTimeout, 2)
	inTime, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := r.openWatch(inTime, cancel, lasts)
	if err != nil {
		r.reportWatch(ctx, err)
		return false, fmt.Errorf("watch %s: %w", r.src, err)
	}
	defer resp.Body.Close()
	r.watching(ctx)

	began := time.Now()
	late := time.AfterFunc(lasts+watchGrace, func() { cancel(errNoAnswer) })
	defer late.Stop()
	dec := json.NewDecoder(resp.Body)
	for {
		var e watchEvent
		err := dec.Decode(&e)
		if err == nil {
			err = r.event(ctx, e)
		}
		switch {
		case err == nil:
			progress = true
			continue
		case err == io.EOF:
			err = nil
		default:
			err = fmt.Errorf("watch %s: %w", r.src, err)
		}
		return progress || time.Since(began) >= steady, err
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

// reportWatch tells Follow of a server that cannot be reached or refuses who we
// are; what concerns the watch alone is not its business.
func (r *reflector) reportWatch(ctx context.Context, err error) {
	switch statusCode(err) {
	case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
	default:
		r.send(ctx, update{err: fmt.Errorf("watch %s: %w", r.src, err)})
	}
}

// watching notes that the server agreed to be watched.
func (r *reflector) watching(ctx context.Context) {
	r.send(ctx, update{})
	if r.refused {
		r.refused = false
		r.log.Info("watch allowed, polling ended", "op", "watch "+r.src.String())
	}
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
