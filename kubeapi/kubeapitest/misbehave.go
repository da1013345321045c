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

// Misbehaviour is a way to answer requests otherwise than an API server in good
// health; see Server.Misbehave.
type Misbehaviour func(*faults)

// faults is all that can be wrong at once; the zero value is nothing.
type faults struct {
	failures   map[string]*failure // by verb
	forbidden  []permission
	token      string
	hang       map[string]bool // by verb
	delay      time.Duration
	pageSize   int
	goneByHTTP bool
	mute       bool
	cutStreams int                   // streamed lists to be cut
	hidden     []string              // resources whose lists are empty
	stale      map[objectKey]*object // what lists show; nil for what there is
	repeat     bool                  // every event of a watch is sent twice
	echo       bool                  // and what it replaced in between
	late       time.Duration         // events of watches wait so long
	shuffled   *rand.Rand            // by which they change places; nil for as they happened
}

type failure struct {
	code       int
	times      int
	retryAfter time.Duration // with 429
}

type permission struct{ verb, resource, namespace string }

// Misbehave adds to what is wrong with the server, until Behave.
func (s *Server) Misbehave(how ...Misbehaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range how {
		m(&s.faults)
	}
	s.announce()
}

// Behave ends all misbehaviour; requests that hang are answered.
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
// Retry-After, as API priority and fairness does.
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

// Forbid answers 403 to a verb, list or watch, on services or endpointslices in
// a namespace, or to get on secrets. Namespace "" is any, and requests for all of
// them.
func Forbid(verb, resource, namespace string) Misbehaviour {
	return func(f *faults) { f.forbidden = append(f.forbidden, permission{verb, resource, namespace}) }
}

// PageSize makes pages of lists with a limit no longer than n.
func PageSize(n int) Misbehaviour { return func(f *faults) { f.pageSize = n } }

// GoneByHTTP answers a watch from a version that is too old with HTTP 410, and
// not with HTTP 200 and an ERROR event.
func GoneByHTTP() Misbehaviour { return func(f *faults) { f.goneByHTTP = true } }

// MuteWatches leaves running watches and new ones open and sends nothing, not
// even bookmarks; what happens meanwhile is sent after Behave.
func MuteWatches() Misbehaviour { return func(f *faults) { f.mute = true } }

// CutStreamedLists closes the connections of the next n streamed lists before
// their end.
func CutStreamedLists(n int) Misbehaviour { return func(f *faults) { f.cutStreams = n } }

// Hide answers lists of these resources, streamed ones as well, as if there were
// no objects: valid and empty. Watches go on as they are.
func Hide(resources ...string) Misbehaviour {
	return func(f *faults) { f.hidden = append(f.hidden, resources...) }
}

// Stale answers lists, streamed ones as well, with what there is now, whatever
// changes: a cache that no longer follows. Watches go on as they are.
func (s *Server) Stale() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.stale = maps.Clone(s.objects)
}

// Repeat sends every event of a watch twice.
func Repeat() Misbehaviour { return func(f *faults) { f.repeat = true } }

// Echo sends after every event of a watch what it replaced, under its old
// version, and then the event again.
func Echo() Misbehaviour { return func(f *faults) { f.echo = true } }

// Late holds the events of watches back for a while, and sends what gathered.
func Late(delay time.Duration) Misbehaviour { return func(f *faults) { f.late = delay } }

// Shuffle sends events of watches that gathered in another order than they
// happened in, each seed in its own. What an object is then shown as last may
// have been before; only a list tells.
func Shuffle(seed uint64) Misbehaviour {
	return func(f *faults) { f.shuffled = rand.New(rand.NewPCG(seed, 0)) }
}

// CutWatches closes the connections of the running watches in the middle of an
// event.
func (s *Server) CutWatches() { s.signal(signal{action: cut}) }

// EndWatches ends the running watches as their timeout does.
func (s *Server) EndWatches() { s.signal(signal{action: end}) }

// Bookmark sends a BOOKMARK of the present version to the running watches that
// asked for bookmarks.
func (s *Server) Bookmark() { s.signal(signal{action: bookmark}) }

// SendGarbage sends text to the running watches. JSON is text; a protobuf event
// begins with its length in four bytes.
func (s *Server) SendGarbage(text string) { s.signal(signal{action: garbage, text: text}) }

// ExpireVersions forgets the history: running watches end with an ERROR event of
// code 410, and so do those that ask for a version before the next change.
func (s *Server) ExpireVersions() {
	s.mu.Lock()
	s.version++ // or the version of the last list would still be good
	s.history = nil
	s.oldest = s.version
	s.mu.Unlock()
	s.signal(signal{action: expire})
}

// ExpireContinue forgets the rests of lists: their continue tokens are answered
// with 410.
func (s *Server) ExpireContinue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.pages)
}

// KeepHistory keeps only the last n changes for watches, from now on; the
// default is 10,000. A watch from an older version is 410.
func (s *Server) KeepHistory(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window = n
	s.trim()
	s.announce()
}

// RestoreVersion sets the resourceVersion back, as restoring etcd from a backup
// does, and ends the history there. Running watches are told nothing.
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

// misbehave answers r if something is wrong with it, and reports whether it did.
func (s *Server) misbehave(ctx context.Context, w http.ResponseWriter, req *http.Request, r request) bool {
	if s.waitFor(ctx, func() bool { return !s.faults.hang[r.verb()] }) != nil {
		return true
	}
	s.mu.Lock()
	delay, token, forbidden, failure := s.faults.delay, s.faults.token, s.faults.forbids(r), s.faults.fail(r.verb())
	s.mu.Unlock()
	if !wait(ctx, delay) {
		return true
	}
	switch {
	case token != "" && req.Header.Get("Authorization") != "Bearer "+token:
		writeStatus(w, r, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
	case forbidden:
		writeStatus(w, r, http.StatusForbidden, "Forbidden", forbiddenText(r))
	case failure.code == http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(int(failure.retryAfter.Seconds())))
		http.Error(w, "Too many requests, please try again later.", failure.code)
	case failure.code != 0:
		reason := strings.ReplaceAll(http.StatusText(failure.code), " ", "")
		writeStatus(w, r, failure.code, reason, "told to fail")
	default:
		return false
	}
	return true
}

func (f *faults) forbids(r request) bool { return f.forbid(r.verb(), r.resource.name, r.namespace) }

func (f *faults) forbid(verb, resource, namespace string) bool {
	return slices.ContainsFunc(f.forbidden, func(p permission) bool {
		return p.verb == verb && p.resource == resource && (p.namespace == "" || p.namespace == namespace)
	})
}

// fail returns what to answer to the next request of verb, and counts it; no
// code is no failure.
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
