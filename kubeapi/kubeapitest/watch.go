// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"time"
)

// signal is done to every running watch.
type signal struct {
	action action
	text   string // for garbage
}

type action int

const (
	bookmark action = iota
	garbage         // text is sent unchanged
	cut             // the connection is closed in the middle of an event
	end             // the watch ends as at its timeout
	expire          // ERROR event of code 410
)

// watcher is one running watch.
type watcher struct {
	request
	version int // of the last event sent
	signal  int // number of the server's signals that were processed
	initial []event
}

// expired reports whether the history no longer has all changes that the watch needs.
func (wt *watcher) expired(oldest int) bool { return wt.version < oldest }

type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
	proto  []byte          // the object, in its envelope
}

func (s *Server) serveWatch(w http.ResponseWriter, req *http.Request, r request) {
	ctx := req.Context()
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	if r.initial && s.cannot().ignoreStreams {
		r.initial = false
	}
	if r.initial && (s.cannot().rejectStreams || r.matching != "NotOlderThan") {
		writeStatus(w, r, http.StatusUnprocessableEntity, "Invalid", `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled`)
		return
	}
	wt, gone, byHTTP := s.openWatch(r)
	if gone && byHTTP {
		writeStatus(w, r, http.StatusGone, "Expired", expiredText(r))
		return
	}
	defer s.closeWatch()
	w.Header().Set("Content-Type", r.watchType())
	w.WriteHeader(http.StatusOK)
	flush(w)
	if gone {
		writeEvent(w, wt.request, errorEvent(expiredText(r)))
		return
	}
	s.sendInitial(w, wt)
	for wait(ctx, s.lateness()) {
		events, signals, ok := s.next(ctx, wt)
		for _, e := range events {
			writeEvent(w, wt.request, e)
		}
		for _, sig := range signals {
			if !s.process(w, wt, sig) {
				return
			}
		}
		flush(w)
		if !ok {
			return
		}
	}
}

func (r request) watchType() string {
	if r.protobuf {
		return protobufType + ";stream=watch"
	}
	return "application/json"
}

// openWatch counts the watch. It returns whether its version has expired, and whether the
// answer to that is an HTTP status.
func (s *Server) openWatch(r request) (wt *watcher, gone, byHTTP bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version, err := strconv.Atoi(r.version)
	if err != nil || version == 0 {
		version = s.version
	}
	if r.initial {
		version = s.version
	}
	wt = &watcher{request: r, version: version, signal: len(s.signals)}
	if r.initial {
		wt.initial = s.initial(wt)
	}
	gone, byHTTP = wt.expired(s.oldest), s.faults.goneByHTTP
	if !gone || !byHTTP {
		s.running++
	}
	return wt, gone, byHTTP
}

// initial returns the events of a streamed list: all objects, and the bookmark at its end
// (KEP-3157). The caller holds s.mu.
func (s *Server) initial(wt *watcher) []event {
	var all []event
	for _, o := range s.selected(wt.request) {
		all = append(all, o.event("ADDED"))
	}
	return append(all, wt.bookmark(strconv.Itoa(wt.version), map[string]any{"k8s.io/initial-events-end": "true"}))
}

func (s *Server) sendInitial(w http.ResponseWriter, wt *watcher) {
	for i, e := range wt.initial {
		if i == len(wt.initial)-1 && s.cutsStream() {
			flush(w)
			panic(http.ErrAbortHandler)
		}
		writeEvent(w, wt.request, e)
	}
	flush(w)
}

// cutsStream reports whether a streamed list is to be cut, and counts it.
func (s *Server) cutsStream() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.cutStreams == 0 {
		return false
	}
	s.faults.cutStreams--
	return true
}

func (s *Server) closeWatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
}

func expiredText(r request) string { return fmt.Sprintf("too old resource version: %s", r.version) }

// next waits for events to send; ok is false at the end of the watch.
func (s *Server) next(ctx context.Context, wt *watcher) (events []event, signals []signal, ok bool) {
	err := s.waitFor(ctx, func() bool {
		if s.faults.mute {
			return false
		}
		if wt.expired(s.oldest) {
			signals = []signal{{action: expire}}
			return true
		}
		for _, c := range s.since(wt.version) {
			wt.version = c.version
			if e, ok := c.event(wt.request); ok {
				events = append(events, e)
				if s.faults.repeat {
					events = append(events, e)
				}
				if s.faults.echo && c.before != nil {
					events = append(events, c.before.event("MODIFIED"), e)
				}
			}
		}
		if r := s.faults.shuffled; r != nil {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		}
		signals = s.signals[wt.signal:]
		wt.signal = len(s.signals)
		return len(events)+len(signals) > 0
	})
	return events, signals, err == nil
}

// lateness is how long events are held back.
func (s *Server) lateness() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults.late
}

// since returns the changes after version. The caller holds s.mu.
func (s *Server) since(version int) []change {
	i := sort.Search(len(s.history), func(i int) bool { return s.history[i].version > version })
	return s.history[i:]
}

// event returns the event of c for r: an object that begins or ceases to match the
// selector is added or deleted.
func (c change) event(r request) (event, bool) {
	if !r.covers(c.key) {
		return event{}, false
	}
	before := c.before != nil && r.selector.matches(c.before.labels)
	after := c.after != nil && r.selector.matches(c.after.labels)
	switch {
	case before && after:
		return c.after.event("MODIFIED"), true
	case after:
		return c.after.event("ADDED"), true
	case before && c.after != nil:
		return c.before.withVersion(c.version).event("DELETED"), true
	case before:
		return c.last.event("DELETED"), true
	}
	return event{}, false
}

// process applies sig and reports whether the watch continues.
func (s *Server) process(w http.ResponseWriter, wt *watcher, sig signal) bool {
	switch sig.action {
	case bookmark:
		if wt.bookmarks {
			writeEvent(w, wt.request, wt.bookmark(s.ResourceVersion(), nil))
		}
	case garbage:
		_, _ = fmt.Fprint(w, sig.text)
		if !wt.protobuf {
			_, _ = fmt.Fprintln(w)
		}
	case cut:
		_, _ = fmt.Fprint(w, wt.partialEvent())
		flush(w)
		panic(http.ErrAbortHandler)
	case end:
		return false
	case expire:
		writeEvent(w, wt.request, errorEvent(fmt.Sprintf("too old resource version: %d", wt.version)))
		return false
	}
	return true
}

// bookmark returns a BOOKMARK.
func (wt *watcher) bookmark(version string, annotations map[string]any) event {
	meta := map[string]any{"resourceVersion": version, "creationTimestamp": nil}
	if annotations != nil {
		meta["annotations"] = annotations
	}
	o, _ := newObject(objectKey{resource: wt.resource}, map[string]any{ // of types that cannot fail
		"kind": wt.resource.kind, "apiVersion": wt.resource.apiVersion, "metadata": meta,
	})
	return o.event("BOOKMARK")
}

// partialEvent returns the beginning of an event.
func (wt *watcher) partialEvent() string {
	if wt.protobuf {
		return "\x00\x00\x00\x7f\n\x08MODIF"
	}
	return `{"type":"MODIFIED","object":{"kind":`
}

// errorEvent ends a watch whose version is too old.
func errorEvent(message string) event {
	st := newStatus(http.StatusGone, "Expired", message)
	text, _ := json.Marshal(st) // of types that cannot fail
	return event{"ERROR", text, st.proto()}
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }
