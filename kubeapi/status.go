// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"maps"
	"slices"
	"sync"
	"time"

	"podgate/kubeapi/wire"
)

// Status is how following the API server goes. It is a copy: it does not change.
type Status struct {
	Server string // URL of the server that is asked at present
	// Conditions are what keeps podgate from following, in the order in which
	// they began; empty while all is followed.
	Conditions []Condition
	Listed     time.Time // when every resource was last listed completely; zero for never
	Heard      time.Time // when the server last sent a list, an event or a bookmark; zero for never
	Polling    bool      // a resource is listed again and again, for want of a watch
	Reading    Reading   // of the lists that are under way before the first complete one
	Requests   []CodeCount
	Restarts   []CauseCount
}

// Condition is one thing that keeps a Client from following.
type Condition struct {
	// Kind is one of ConditionKinds.
	Kind  string
	Text  string // what is wrong, and what to do about it where that is known
	Since time.Time
}

// ConditionKinds lists what Condition.Kind may be.
func ConditionKinds() []string {
	return []string{"unreachable", "unauthorized", "refused", "unidentified", "overloaded"}
}

func (k conditionKind) String() string {
	if k <= fine || int(k) > len(ConditionKinds()) {
		return ""
	}
	return ConditionKinds()[k-1]
}

// Reading is how many objects have come so far.
type Reading struct{ Services, EndpointSlices int }

// CodeCount is how many requests were answered with a code; 0 stands for no
// answer.
type CodeCount struct {
	Code  int
	Count int
}

// CauseCount is how many watches ended for a cause, one of WatchEnds.
type CauseCount struct {
	Cause string
	Count int
}

// WatchEnds lists the causes for which a watch ends and another begins:
// "timeout" is how a healthy one does.
func WatchEnds() []string {
	return []string{"timeout", "relist", "gone", "silent", "refused", "unreadable", "disconnected", "error"}
}

// statusBoard is the Status as it comes together in several goroutines.
type statusBoard struct {
	mu         sync.Mutex
	conditions []openCondition
	listed     time.Time
	heard      time.Time
	polling    map[source]bool
	reading    map[source]int
	restarts   map[string]int
}

type openCondition struct {
	of condition
	Condition
}

// Status returns how following goes now. It may be called concurrently.
func (c *Client) Status() Status {
	b := &c.board
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{Server: c.Server(), Listed: b.listed, Heard: b.heard, Polling: len(b.polling) > 0}
	for _, o := range b.conditions {
		s.Conditions = append(s.Conditions, o.Condition)
	}
	for src, n := range b.reading {
		switch src.resource {
		case wire.Services:
			s.Reading.Services += n
		case wire.EndpointSlices:
			s.Reading.EndpointSlices += n
		}
	}
	answers := c.credentials.Answers()
	for _, code := range slices.Sorted(maps.Keys(answers)) {
		s.Requests = append(s.Requests, CodeCount{code, answers[code]})
	}
	for _, cause := range slices.Sorted(maps.Keys(b.restarts)) {
		s.Restarts = append(s.Restarts, CauseCount{cause, b.restarts[cause]})
	}
	return s
}

func (b *statusBoard) began(c condition, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conditions = append(b.conditions, openCondition{c, Condition{Kind: c.kind.String(), Text: err.Error(), Since: time.Now()}})
}

func (b *statusBoard) ended(c condition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conditions = slices.DeleteFunc(b.conditions, func(o openCondition) bool { return o.of == c })
}

// complete notes that every resource was listed.
func (b *statusBoard) complete() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listed = time.Now()
	b.reading = nil
}

// hears notes that the server sent something.
func (b *statusBoard) hears() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = time.Now()
}

// read notes how many objects of src have come so far. It matters up to the
// first complete list.
func (b *statusBoard) read(src source, objects int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = time.Now()
	if !b.listed.IsZero() {
		return
	}
	if b.reading == nil {
		b.reading = map[source]int{}
	}
	b.reading[src] = objects
}

func (b *statusBoard) polls(src source, polling bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !polling {
		delete(b.polling, src)
		return
	}
	if b.polling == nil {
		b.polling = map[source]bool{}
	}
	b.polling[src] = true
}

func (b *statusBoard) restarted(cause string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.restarts == nil {
		b.restarts = map[string]int{}
	}
	b.restarts[cause]++
}
