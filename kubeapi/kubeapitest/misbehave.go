// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Misbehaviour is a way in which answers differ from those of a healthy API server; see
// Server.Misbehave.
type Misbehaviour func(*faults)

// faults are the present misbehaviours; the zero value has none.
type faults struct {
	failures   map[string]*failure // by verb
	forbidden  []permission
	broken     []broken
	token      string
	hang       map[string]bool // by verb
	delay      time.Duration
	pageSize   int
	goneByHTTP bool
	mute       bool
	cutStreams int                   // streamed lists to be cut
	hidden     []string              // resources whose lists are empty
	stale      map[objectKey]*object // the objects in lists; nil for the present ones
	repeat     bool                  // every event of a watch is sent twice
	echo       bool                  // with what it replaced in between
	late       time.Duration         // how long events of watches are held back
	shuffled   *rand.Rand            // orders events of watches; nil for the order in which they happened
}

type failure struct {
	code       int
	times      int
	retryAfter time.Duration // with 429
}

type permission struct{ verb, resource, namespace string }

// Misbehave adds misbehaviours, until Behave.
func (s *Server) Misbehave(how ...Misbehaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range how {
		m(&s.faults)
	}
	s.announce()
}

// Behave ends all misbehaviours. Requests that hang are answered.
func (s *Server) Behave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults{}
	s.announce()
}

// FailLists answers the next n lists with a Status of that code.
func FailLists(code, n int) Misbehaviour { return fail("list", failure{code: code, times: n}) }

// FailWatches answers the next n watches with a Status of that code.
func FailWatches(code, n int) Misbehaviour { return fail("watch", failure{code: code, times: n}) }

// TooManyRequests answers the next n lists with 429, in plain text and with
// Retry-After, like API Priority and Fairness.
func TooManyRequests(n int, retryAfter time.Duration) Misbehaviour {
	return fail("list", failure{code: http.StatusTooManyRequests, times: n, retryAfter: retryAfter})
}

func fail(verb string, how failure) Misbehaviour {
	return func(f *faults) {
		if f.failures == nil {
			f.failures = make(map[string]*failure)
		}
		f.failures[verb] = &how
	}
}

// HangLists leaves lists without an answer.
func HangLists() Misbehaviour { return hang("list") }

// HangWatches leaves watches without an answer.
func HangWatches() Misbehaviour { return hang("watch") }

func hang(verb string) Misbehaviour {
	return func(f *faults) {
		if f.hang == nil {
			f.hang = make(map[string]bool)
		}
		f.hang[verb] = true
	}
}

// Slow delays every answer.
func Slow(delay time.Duration) Misbehaviour { return func(f *faults) { f.delay = delay } }

// RequireToken answers 401 to requests without that bearer token.
func RequireToken(token string) Misbehaviour { return func(f *faults) { f.token = token } }

// Forbid answers 403 to a verb on a resource in a namespace: list or watch, or get on
// secrets. Namespace "" is all requests.
func Forbid(verb, resource, namespace string) Misbehaviour {
	return func(f *faults) { f.forbidden = append(f.forbidden, permission{verb, resource, namespace}) }
}

// broken is a permission whose requests get answer; they hang if it is nil.
type broken struct {
	permission
	answer http.HandlerFunc
}

// Break answers a verb on a resource in a namespace with answer, or not at all if that
// is nil, until Behave. Namespace "" is all requests.
func Break(verb, resource, namespace string, answer http.HandlerFunc) Misbehaviour {
	return func(f *faults) {
		f.broken = append(f.broken, broken{permission{verb, resource, namespace}, answer})
	}
}

// PageSize limits pages of lists to n objects if the request has a limit.
func PageSize(n int) Misbehaviour { return func(f *faults) { f.pageSize = n } }

// GoneByHTTP answers a watch from a version that is too old with HTTP 410 instead of HTTP
// 200 and an ERROR event.
func GoneByHTTP() Misbehaviour { return func(f *faults) { f.goneByHTTP = true } }

// MuteWatches sends nothing on running and new watches, not even bookmarks. The changes
// are sent after Behave.
func MuteWatches() Misbehaviour { return func(f *faults) { f.mute = true } }

// CutStreamedLists closes the connections of the next n streamed lists before
// their end.
func CutStreamedLists(n int) Misbehaviour { return func(f *faults) { f.cutStreams = n } }

// Hide makes lists of these resources, also streamed ones, valid and empty. Watches are
// not affected.
func Hide(resources ...string) Misbehaviour {
	return func(f *faults) { f.hidden = append(f.hidden, resources...) }
}

// Stale answers all later lists, also streamed ones, with the present objects, like a
// cache that is no longer updated. Watches are not affected.
func (s *Server) Stale() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.stale = maps.Clone(s.objects)
}

// Repeat sends every event of a watch twice.
func Repeat() Misbehaviour { return func(f *faults) { f.repeat = true } }

// Echo sends after every event of a watch the object that it replaced, with its old
// version, and then the event again.
func Echo() Misbehaviour { return func(f *faults) { f.echo = true } }

// Late holds back the events of watches for delay.
func Late(delay time.Duration) Misbehaviour { return func(f *faults) { f.late = delay } }

// Shuffle changes the order of events of watches that are sent together, by seed. The
// last event of an object may then show an old state, which only a list corrects.
func Shuffle(seed uint64) Misbehaviour {
	return func(f *faults) { f.shuffled = rand.New(rand.NewPCG(seed, 0)) }
}

// CutWatches closes the connections of the running watches in the middle of an
// event.
func (s *Server) CutWatches() { s.signal(signal{action: cut}) }

// EndWatches ends the running watches as their timeout does.
func (s *Server) EndWatches() { s.signal(signal{action: end}) }

// Bookmark sends a BOOKMARK of the present version to the running watches that allow
// bookmarks.
func (s *Server) Bookmark() { s.signal(signal{action: bookmark}) }

// SendGarbage sends text to the running watches. A protobuf event begins with its length
// in four bytes.
func (s *Server) SendGarbage(text string) { s.signal(signal{action: garbage, text: text}) }

// ExpireVersions clears the history: running watches end with an ERROR event of code 410,
// and so do those from a version before the next change.
func (s *Server) ExpireVersions() {
	s.mu.Lock()
	s.version++ // or the version of the last list would still be good
	s.history = nil
	s.oldest = s.version
	s.mu.Unlock()
	s.signal(signal{action: expire})
}

// ExpireContinue expires all continue tokens: they are answered with 410.
func (s *Server) ExpireContinue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.pages)
}

// KeepHistory keeps only the last n changes for watches from now on; the default is
// 10,000. A watch from an older version is answered with 410.
func (s *Server) KeepHistory(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window = n
	s.trim()
	s.announce()
}

// RestoreVersion sets back the resourceVersion and clears the history, like restoring
// etcd from a backup. Running watches receive nothing.
func (s *Server) RestoreVersion(version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version, s.oldest, s.history = version, version, nil
}

func (s *Server) signal(sig signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signals = append(s.signals, sig)
	s.announce()
}

// misbehave answers r if a fault applies to it, and reports whether it did.
func (s *Server) misbehave(ctx context.Context, w http.ResponseWriter, req *http.Request, r request) bool {
	if s.waitFor(ctx, func() bool {
		b, is := s.faults.breaks(r)
		return !s.faults.hang[r.verb()] && (!is || b.answer != nil)
	}) != nil {
		return true
	}
	s.mu.Lock()
	b, isBroken := s.faults.breaks(r)
	delay, token, forbidden, failure := s.faults.delay, s.faults.token, s.faults.forbids(r), s.faults.fail(r.verb())
	s.mu.Unlock()
	if !wait(ctx, delay) {
		return true
	}
	switch {
	case isBroken && b.answer != nil:
		b.answer(w, req)
	case token != "" && req.Header.Get("Authorization") != "Bearer "+token:
		writeStatus(w, r, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
	case forbidden:
		writeStatus(w, r, http.StatusForbidden, "Forbidden", forbiddenText(r))
	case failure.code == http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(int(failure.retryAfter.Seconds())))
		http.Error(w, "Too many requests, please try again later.", failure.code)
	case failure.code != 0:
		reason := strings.ReplaceAll(http.StatusText(failure.code), " ", "")
		writeStatus(w, r, failure.code, reason, "the test makes this request fail")
	default:
		return false
	}
	return true
}

func (f *faults) forbids(r request) bool { return f.forbid(r.verb(), r.resource.name, r.namespace) }

func (f *faults) forbid(verb, resource, namespace string) bool {
	return slices.ContainsFunc(f.forbidden, func(p permission) bool { return p.covers(verb, resource, namespace) })
}

func (p permission) covers(verb, resource, namespace string) bool {
	return p.verb == verb && p.resource == resource && (p.namespace == "" || p.namespace == namespace)
}

// breaks returns what Break set for r; false for nothing.
func (f *faults) breaks(r request) (broken, bool) {
	i := slices.IndexFunc(f.broken, func(b broken) bool { return b.covers(r.verb(), r.resource.name, r.namespace) })
	if i < 0 {
		return broken{}, false
	}
	return f.broken[i], true
}

// fail returns the answer to the next request of verb, and counts it; code 0 is no
// failure.
func (f *faults) fail(verb string) failure {
	next := f.failures[verb]
	if next == nil || next.times == 0 {
		return failure{}
	}
	next.times--
	return *next
}

func forbiddenText(r request) string {
	where := fmt.Sprintf("in the namespace %q", r.namespace)
	if r.namespace == "" {
		where = "at the cluster scope"
	}
	group := ""
	if r.resource == slicesResource() {
		group = "discovery.k8s.io"
	}
	return fmt.Sprintf("%s is forbidden: User \"edge\" cannot %s resource %q in API group %q %s",
		r.resource.name, r.verb(), r.resource.name, group, where)
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
