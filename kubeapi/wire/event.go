// SPDX-License-Identifier: Apache-2.0

package wire

import "errors"

// Event is one event of a watch (Kubernetes API concepts, "Efficient detection of
// changes").
type Event struct {
	Kind     string   // ADDED, MODIFIED, DELETED, BOOKMARK, ERROR, or one of later versions
	Object   Object   // that was added, changed or deleted
	Bookmark Bookmark // of a BOOKMARK
	Status   *Status  // of an ERROR
}

// Bookmark is the version up to which a watch has sent all changes.
type Bookmark struct {
	Version string
	Listed  bool // everything that existed when the watch began has been sent
}

// Status has the fields that are read of a metav1.Status.
type Status struct {
	Code    int
	Message string
}

// initialEventsEnd is the annotation of the bookmark that ends a streamed list
// (KEP-3157).
const initialEventsEnd = "k8s.io/initial-events-end"

// EventReader reads the events of a watch.
type EventReader interface {
	// Next returns the next event. It returns io.EOF when the server ended the
	// watch, and an UnreadableError for an event that is complete but malformed.
	Next() (Event, error)
}

// UnreadableError wraps the error of decoding a complete but malformed event.
type UnreadableError struct {
	Key Key // of the object, as far as it could be read
	Err error
}

func (e *UnreadableError) Error() string { return "unreadable object: " + e.Err.Error() }

// check rejects an object without a name or version, and a bookmark without a version.
func (e Event) check() error {
	switch {
	case e.Object != nil && (e.Object.ObjectKey().Name == "" || e.Object.Version() == ""):
		return &UnreadableError{e.Object.ObjectKey(), errors.New("no name or no version")}
	case e.Kind == "BOOKMARK" && e.Bookmark.Version == "":
		return &UnreadableError{Err: errors.New("bookmark without a version")}
	}
	return nil
}
