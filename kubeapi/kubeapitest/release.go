// SPDX-License-Identifier: Apache-2.0

package kubeapitest

// release is what a server is able to do; the zero value is all that today's
// kube-apiserver does. Unlike faults it stays.
type release struct {
	onlyJSON      bool
	refuseStreams bool
	ignoreStreams bool
}

// SpeakOnlyJSON answers in JSON whatever is asked for, as a server of another
// make or a proxy may.
func (s *Server) SpeakOnlyJSON() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release.onlyJSON = true
}

// RefuseStreamedLists answers sendInitialEvents with 422, as kube-apiserver does
// without the feature WatchList: in 1.33 and before 1.32.
func (s *Server) RefuseStreamedLists() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release.refuseStreams = true
}

// IgnoreStreamedLists takes sendInitialEvents for nothing, as kube-apiserver
// before 1.27 does: the watch has no end of the list.
func (s *Server) IgnoreStreamedLists() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release.ignoreStreams = true
}

func (s *Server) speaksOnlyJSON() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.release.onlyJSON
}

func (s *Server) refusesStreamedLists() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.release.refuseStreams
}

func (s *Server) ignoresStreamedLists() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.release.ignoreStreams
}
