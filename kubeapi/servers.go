// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// servers are the API servers of one cluster, of which one is used until it fails.
// They may be used concurrently.
type servers struct {
	log *slog.Logger

	mu     sync.Mutex
	urls   []*url.URL // one or more
	at     int        // index of the one in use
	logged string     // URL that was logged last
	cause  error      // why that server failed
}

// use replaces the list; the server in use stays if it is part of it.
func (s *servers) use(urls []*url.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := 0
	if s.urls != nil {
		at = slices.IndexFunc(urls, func(u *url.URL) bool { return u.String() == s.urls[s.at].String() })
	}
	s.urls, s.at = urls, max(0, at)
	if at < 0 || s.logged == "" {
		s.logged, s.cause = urls[s.at].String(), nil // the new list was logged
	}
}

// current returns the server in use.
func (s *servers) current() *url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.urls[s.at]
}

// count returns the number of servers.
func (s *servers) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.urls)
}

// failed replaces u by the next server because of err. It does nothing if u is
// not in use any more.
func (s *servers) failed(u *url.URL, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.urls[s.at].String() != u.String() {
		return
	}
	s.at = (s.at + 1) % len(s.urls)
	if u.String() == s.logged {
		s.cause = err
	}
}

// succeeded logs that u is followed, if another one was before. It does nothing if u
// is not in use any more.
func (s *servers) succeeded(u *url.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.urls[s.at].String() != u.String() || u.String() == s.logged {
		return
	}
	s.log.Info("another API server is followed", "server", u.String(), "last", s.logged, "err", s.cause)
	s.logged, s.cause = u.String(), nil
}

// serversError joins the errors of several servers for the same request.
type serversError struct {
	texts []string // "URL: ERROR", in the order of the requests
	last  error
}

func (e *serversError) add(u *url.URL, err error) {
	e.texts, e.last = append(e.texts, u.String()+": "+err.Error()), err
}

func (e *serversError) Error() string {
	if len(e.texts) == 1 {
		return e.last.Error()
	}
	return strings.Join(e.texts, "; ")
}

// Unwrap returns the last error alone: it ended the search, or no server answered.
func (e *serversError) Unwrap() error { return e.last }
