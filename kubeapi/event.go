// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"errors"
	"net/http"
)

// watchEvent is one event of a watch, decoded (Kubernetes API concepts,
// "Efficient detection of changes").
type watchEvent struct {
	kind   string       // ADDED, MODIFIED, DELETED, BOOKMARK, ERROR, or one of tomorrow
	object object       // that was added, changed or deleted
	mark   bookmark     // of a BOOKMARK
	status *statusError // of an ERROR
}

// bookmark says how far a watch is without a change.
type bookmark struct {
	version string
	listed  bool // all that was there when the watch began has been sent
}

// initialEventsEnd is the annotation of the bookmark that ends a streamed list
// (KEP-3157).
const initialEventsEnd = "k8s.io/initial-events-end"

// eventReader reads the events of a watch.
type eventReader interface {
	// next returns the next event. It returns io.EOF when the server ended the
	// watch, and an unreadableError for an event that came whole and is not what
	// it should be.
	next() (watchEvent, error)
}

// newEventReader returns what reads resp, a watch on r.
func newEventReader(resp *http.Response, r resource, strings interner) eventReader {
	if isProtobuf(resp) {
		return newProtoEvents(resp.Body, r, strings)
	}
	return newJSONEvents(resp.Body, r, strings)
}

// unreadableError is of an event that came whole, but is not what it should be.
type unreadableError struct {
	key Key // of the object, as far as it could be read
	err error
}

func (e *unreadableError) Error() string { return "unreadable object: " + e.err.Error() }

func isUnreadable(err error) bool {
	_, ok := errors.AsType[*unreadableError](err)
	return ok
}

// check refuses an object that cannot be told from others or in time, and a
// bookmark that marks nothing.
func (e watchEvent) check() error {
	switch {
	case e.object != nil && (e.object.key().Name == "" || e.object.version() == ""):
		return &unreadableError{e.object.key(), errors.New("no name or no version")}
	case e.kind == "BOOKMARK" && e.mark.version == "":
		return &unreadableError{err: errors.New("bookmark without a version")}
	}
	return nil
}
