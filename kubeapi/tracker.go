// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"podgate/kubeapi/auth"
	"podgate/kubeapi/wire"
)

// tracker keeps the state of following, and logs each condition when it begins and
// when it ends. It may be used concurrently.
type tracker struct {
	log    *slog.Logger
	server func() string // URL of the server in use

	mu             sync.Mutex              // guards what follows
	conditions     []openCondition         // in the order in which they began
	failing        map[source]conditionKey // of the sources that cannot be listed
	forbiddenSince map[source]time.Time    // of sources that a starting server forbids
	listed         time.Time               // when every resource was last listed completely
	received       time.Time               // when the server last sent anything
	polling        map[source]bool         // sources that are polled because watches fail
	objects        map[source]int          // objects so far; nil after the first complete list
	watchEnds      map[string]int
}

// conditionKey identifies a condition of src or, if that is zero, of the server, which
// is logged once and not per source. The zero value is no condition.
type conditionKey struct {
	kind ConditionKind
	src  source
}

// openCondition is a condition that has begun and has not ended.
type openCondition struct {
	key conditionKey
	Condition
}

func newTracker(log *slog.Logger, server func() string) *tracker {
	return &tracker{
		log:            log,
		server:         server,
		failing:        make(map[source]conditionKey),
		forbiddenSince: make(map[source]time.Time),
		polling:        make(map[source]bool),
		objects:        make(map[source]int),
		watchEnds:      make(map[string]int),
	}
}

// classify returns the condition that err, of a request for src, shows.
func classify(src source, err error) conditionKey {
	if err == nil {
		return conditionKey{}
	}
	if auth.Unavailable(err) {
		return conditionKey{kind: CredentialsUnavailable}
	}
	if errors.Is(err, wire.ErrTooLarge) {
		return conditionKey{TooLarge, src}
	}
	switch statusCode(err) {
	case http.StatusUnauthorized:
		return conditionKey{kind: Unauthorized}
	case http.StatusTooManyRequests:
		return conditionKey{kind: Throttled}
	case http.StatusForbidden, http.StatusNotFound:
		return conditionKey{Forbidden, src}
	}
	return conditionKey{kind: Unreachable}
}

// starting is how long a starting server may forbid a source: kube-apiserver answers
// 403 until it has read its roles.
const starting = 10 * time.Second

// report records how the last request for src ended.
func (t *tracker) report(src source, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, now := t.failing[src], classify(src, err)
	switch {
	case t.starts(src, before, now) || before == now:
	case now == conditionKey{}:
		delete(t.failing, src)
		t.end(src)
	default:
		t.failing[src] = now
		t.begin(now, err)
	}
}

// starts reports whether src may be forbidden because the server is still starting.
// That it was away may be known from another source.
func (t *tracker) starts(src source, before, now conditionKey) bool {
	since, known := t.forbiddenSince[src]
	if now.kind != Forbidden || before.kind == Forbidden || !known && !t.holds(conditionKey{kind: Unreachable}) {
		delete(t.forbiddenSince, src)
		return false
	}
	if !known {
		t.forbiddenSince[src] = time.Now()
		return true
	}
	return time.Since(since) < starting
}

// holds reports whether any source has the condition c.
func (t *tracker) holds(c conditionKey) bool {
	for _, other := range t.failing {
		if other == c {
			return true
		}
	}
	return false
}

func (t *tracker) begin(c conditionKey, err error) {
	if slices.ContainsFunc(t.conditions, func(o openCondition) bool { return o.key == c }) {
		return
	}
	t.conditions = append(t.conditions, openCondition{c, Condition{Kind: c.kind, Text: err.Error(), Since: time.Now()}})
	level, began, _ := c.kind.messages()
	t.log.Log(context.Background(), level, began, "server", t.server(), "err", err)
}

// end ends the conditions that no source has any more, now that src is followed.
func (t *tracker) end(src source) {
	t.conditions = slices.DeleteFunc(t.conditions, func(o openCondition) bool {
		if t.holds(o.key) || o.key.src != (source{}) && o.key.src != src {
			return false
		}
		args := []any{"server", t.server()}
		if o.key.src != (source{}) {
			args = append(args, "op", "list "+src.String())
		}
		_, _, ended := o.key.kind.messages()
		t.log.Info(ended, args...)
		return true
	})
}

// messages returns what is logged when a condition begins and when it ends.
func (k ConditionKind) messages() (level slog.Level, began, ended string) {
	switch k {
	case Unauthorized:
		return slog.LevelError, "API server rejects the credentials", "API server accepts the credentials"
	case Forbidden:
		return slog.LevelError, "API server forbids a list", "API server allows the list"
	case CredentialsUnavailable:
		return slog.LevelError, "credentials unavailable", "credentials available"
	case TooLarge:
		return slog.LevelError, "API server sends too much", "API server no longer sends too much"
	case Throttled:
		return slog.LevelWarn, "API server throttles requests", "API server no longer throttles requests"
	}
	return slog.LevelWarn, "API server unreachable", "API server reachable"
}

// complete notes that a complete list ended, and whether it has all resources.
func (t *tracker) complete(all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.objects = nil
	if all {
		t.listed = time.Now()
	}
}

// receive notes that the server sent something.
func (t *tracker) receive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.received = time.Now()
}

// countObjects notes how many objects of src were received so far. Only the time counts
// after the first complete list.
func (t *tracker) countObjects(src source, objects int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.received = time.Now()
	if t.objects != nil {
		t.objects[src] = objects
	}
}

// pollBegan notes that src is polled because watches fail.
func (t *tracker) pollBegan(src source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.polling[src] = true
}

// pollEnded notes that src is watched again.
func (t *tracker) pollEnded(src source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.polling, src)
}

// watchEnded counts one of WatchEnds.
func (t *tracker) watchEnded(cause string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchEnds[cause]++
}

// status returns a Status without Server and Requests.
func (t *tracker) status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Status{Listed: t.listed, Heard: t.received, Polling: len(t.polling) > 0, WatchEnds: maps.Clone(t.watchEnds)}
	for _, o := range t.conditions {
		s.Conditions = append(s.Conditions, o.Condition)
	}
	for src, n := range t.objects {
		switch src.resource {
		case wire.Services:
			s.Reading.Services += n
		case wire.EndpointSlices:
			s.Reading.EndpointSlices += n
		}
	}
	return s
}
