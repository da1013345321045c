// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// servers are the API servers of one cluster, of which one is asked until it
// fails. They may be used concurrently.
type servers struct {
	log *slog.Logger

	mu    sync.Mutex
	urls  []*url.URL // one or more
	at    int        // the one that is asked
	known string     // the one that was told last to be followed; "" where that was none of urls
	why   error      // it was left
}

// use replaces the list; the server that is asked stays if it is part of it.
func (s *servers) use(urls []*url.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := 0
	if s.urls != nil {
		at = slices.IndexFunc(urls, func(u *url.URL) bool { return u.String() == s.urls[s.at].String() })
	}
	s.urls, s.at = urls, max(0, at)
	if at < 0 || s.known == "" {
		s.known, s.why = urls[s.at].String(), nil // as who changed the list knows
	}
}

// current returns the server to ask.
func (s *servers) current() *url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.urls[s.at]
}

// count returns how many there are.
func (s *servers) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.urls)
}

// failed moves on from u, because of err, to the next server, unless somebody
// else did.
func (s *servers) failed(u *url.URL, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.urls[s.at].String() != u.String() {
		return
	}
	s.at = (s.at + 1) % len(s.urls)
	if u.String() == s.known {
		s.why = err
	}
}

// works notes that u answered, and tells when that is another one than is known
// to be followed. A late answer of one that was left is nothing.
func (s *servers) works(u *url.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.urls[s.at].String() != u.String() || u.String() == s.known {
		return
	}
	s.log.Info("another API server is followed", "server", u.String(), "last", s.known, "err", s.why)
	s.known, s.why = u.String(), nil
}

// serversError is what each of several servers said that were asked for the same.
type serversError struct {
	said []string // "URL: ERROR", in the order in which they were asked
	last error    // of the last one
}

func (e *serversError) add(u *url.URL, err error) {
	e.said, e.last = append(e.said, u.String()+": "+err.Error()), err
}

func (e *serversError) Error() string {
	if len(e.said) == 1 {
		return e.last.Error()
	}
	return strings.Join(e.said, "; ")
}

// Unwrap returns the last one alone: it stopped the search, or nobody answered.
func (e *serversError) Unwrap() error { return e.last }
