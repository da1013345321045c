// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"log/slog"
	"net/url"
	"slices"
	"sync"
)

// servers are the API servers of one cluster, of which one is asked until it
// fails. They may be used concurrently.
type servers struct {
	log *slog.Logger

	mu       sync.Mutex
	urls     []*url.URL // one or more
	at       int        // the one that is asked
	answered string     // the last one that answered
}

// use replaces the list; the server that is asked stays if it is part of it.
func (s *servers) use(urls []*url.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.urls != nil {
		now := s.urls[s.at].String()
		s.at = max(0, slices.IndexFunc(urls, func(u *url.URL) bool { return u.String() == now }))
	}
	s.urls = urls
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

// failed moves on to the next server, unless somebody else did.
func (s *servers) failed(u *url.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.urls[s.at].String() == u.String() {
		s.at = (s.at + 1) % len(s.urls)
	}
}

// works notes that u answered, and tells when another one did before. A late
// answer of one that was left is nothing.
func (s *servers) works(u *url.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.urls[s.at].String() != u.String() {
		return
	}
	before := s.answered
	s.answered = u.String()
	if before != "" && before != s.answered {
		s.log.Info("another API server is followed", "server", s.answered, "last", before)
	}
}
