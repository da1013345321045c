// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
)

// signal is something done to every watch that runs at the moment.
type signal struct {
	action action
	text   string // for garbage
}

type action int

const (
	bookmark action = iota
	garbage         // text is sent as it is
	cut             // the connection is closed in the middle of an event
	end             // the watch ends as at its timeout
	expire          // ERROR event of code 410
)

// watcher is one running watch.
type watcher struct {
	request
	version int // of the last event sent
	signal  int // how many of the server's signals were seen
}

// lags reports whether changes that the watch has not seen are forgotten.
func (wt *watcher) lags(oldest int) bool { return wt.version < oldest }

type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

func (s *Server) serveWatch(w http.ResponseWriter, req *http.Request, r request) {
	ctx := req.Context()
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	wt, gone, byHTTP := s.openWatch(r)
	if gone && byHTTP {
		writeStatus(w, http.StatusGone, "Expired", expiredText(r))
		return
	}
	defer s.closeWatch()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush(w)
	if gone {
		writeEvent(w, errorEvent(expiredText(r)))
		return
	}
	for {
		events, signals, ok := s.next(ctx, wt)
		for _, e := range events {
			writeEvent(w, e)
		}
		for _, sig := range signals {
			if !s.obey(w, wt, sig) {
				return
			}
		}
		flush(w)
		if !ok {
			return
		}
	}
}

// openWatch counts the watch, and says whether its version is gone and whether
// to say so by an HTTP status.
func (s *Server) openWatch(r request) (wt *watcher, gone, byHTTP bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version, err := strconv.Atoi(r.version)
	if err != nil || version == 0 {
		version = s.version
	}
	wt = &watcher{request: r, version: version, signal: len(s.signals)}
	gone, byHTTP = wt.lags(s.oldest), s.faults.goneByHTTP
	if !gone || !byHTTP {
		s.running++
	}
	return wt, gone, byHTTP
}

func (s *Server) closeWatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
}

func expiredText(r request) string { return fmt.Sprintf("too old resource version: %s", r.version) }

// next waits for what is to be sent; ok is false when the watch is over.
func (s *Server) next(ctx context.Context, wt *watcher) (events []event, signals []signal, ok bool) {
	err := s.waitFor(ctx, func() bool {
		if wt.lags(s.oldest) {
			signals = []signal{{action: expire}}
			return true
		}
		for _, c := range s.since(wt.version) {
			wt.version = c.version
			if e, ok := c.event(wt.request); ok {
				events = append(events, e)
			}
		}
		signals = s.signals[wt.signal:]
		wt.signal = len(s.signals)
		return len(events)+len(signals) > 0
	})
	return events, signals, err == nil
}

// since returns the changes after version. The caller holds s.mu.
func (s *Server) since(version int) []change {
	i := sort.Search(len(s.history), func(i int) bool { return s.history[i].version > version })
	return s.history[i:]
}

// event returns c as r sees it: what begins or ceases to match the selector was
// added or deleted.
func (c change) event(r request) (event, bool) {
	if !r.covers(c.key) {
		return event{}, false
	}
	before := c.before != nil && r.selector.matches(c.before.labels)
	after := c.after != nil && r.selector.matches(c.after.labels)
	switch {
	case before && after:
		return event{"MODIFIED", c.after.json}, true
	case after:
		return event{"ADDED", c.after.json}, true
	case before && c.after != nil:
		return event{"DELETED", c.before.at(c.version)}, true
	case before:
		return event{"DELETED", c.last}, true
	}
	return event{}, false
}

// obey does what sig asks of one watch and reports whether the watch goes on.
func (s *Server) obey(w http.ResponseWriter, wt *watcher, sig signal) bool {
	switch sig.action {
	case bookmark:
		if wt.bookmarks {
			writeEvent(w, wt.bookmark(s.ResourceVersion()))
		}
	case garbage:
		_, _ = fmt.Fprintln(w, sig.text)
	case cut:
		_, _ = fmt.Fprint(w, `{"type":"MODIFIED","object":{"kind":`)
		flush(w)
		panic(http.ErrAbortHandler)
	case end:
		return false
	case expire:
		writeEvent(w, errorEvent(fmt.Sprintf("too old resource version: %d", wt.version)))
		return false
	}
	return true
}

func (wt *watcher) bookmark(version string) event {
	text := fmt.Sprintf(`{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":%q,"creationTimestamp":null}}`,
		wt.resource.kind, wt.resource.apiVersion, version)
	return event{"BOOKMARK", json.RawMessage(text)}
}

// errorEvent is how a watch whose version is too old ends after it began.
func errorEvent(message string) event {
	text, _ := json.Marshal(newStatus(http.StatusGone, "Expired", message))
	return event{"ERROR", text}
}

// writeEvent ignores a client that went away: its context ends as well.
func writeEvent(w http.ResponseWriter, e event) { _ = json.NewEncoder(w).Encode(e) }

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }
