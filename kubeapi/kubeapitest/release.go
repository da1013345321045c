// SPDX-License-Identifier: Apache-2.0

package kubeapitest

// release lists features that a server lacks; the zero value is the current kube-apiserver.
// Behave does not end it.
type release struct {
	onlyJSON      bool
	rejectStreams bool
	ignoreStreams bool
}

// SpeakOnlyJSON answers all requests in JSON, as a proxy or another kind of server may.
func (s *Server) SpeakOnlyJSON() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release.onlyJSON = true
}

// RejectStreamedLists answers sendInitialEvents with 422, as kube-apiserver does
// without the feature WatchList: in 1.33 and before 1.32.
func (s *Server) RejectStreamedLists() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release.rejectStreams = true
}

// IgnoreStreamedLists ignores sendInitialEvents, as kube-apiserver before 1.27 does:
// the watch has no end of the list.
func (s *Server) IgnoreStreamedLists() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release.ignoreStreams = true
}

// cannot returns the features that the server lacks.
func (s *Server) cannot() release {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.release
}
