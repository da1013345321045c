// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"

	"podgate/kubeapi"
)

// reader reads the annotations that hold for one port of a Service and gathers
// what is wrong with them.
type reader struct {
	service  kubeapi.Key
	port     kubeapi.ServicePort
	notes    annotations
	problems []Problem
}

// setting is the value of an annotation for one port.
type setting[T any] struct {
	value T
	note  annotation
	given bool // the annotation is there
	bad   bool // and its value cannot be read
}

// or is the value where there is one that can be read, else fallback.
func (s setting[T]) or(fallback T) T {
	if !s.given || s.bad {
		return fallback
	}
	return s.value
}

// read reads the annotation of that key for the reader's port. A value that
// parse refuses is told, and the key falls back to its default.
func read[T any](r *reader, k key, parse func(string) (T, error)) setting[T] {
	return readOr(r, k, parse, "")
}

// readStrict is read for a key that narrows who reaches the port, and how. To
// fall back to its default would open the port further than was asked for, so
// the caller does not serve a port with a bad one.
func readStrict[T any](r *reader, k key, parse func(string) (T, error)) setting[T] {
	return readOr(r, k, parse, "; the port is not served")
}

func readOr[T any](r *reader, k key, parse func(string) (T, error), consequence string) setting[T] {
	note, ok := r.notes.forPort(k, r.port)
	if !ok {
		return setting[T]{}
	}
	if len(note.value) > maxValue {
		r.tell(note, "%s is longer than %d bytes%s", quote(note.value), maxValue, consequence)
		return setting[T]{note: note, given: true, bad: true}
	}
	value, err := parse(note.value)
	if err != nil {
		r.tell(note, "%s%s", err, consequence)
		return setting[T]{note: note, given: true, bad: true}
	}
	return setting[T]{value: value, note: note, given: true}
}

// tell reports a Problem of an annotation: of the port where it is for that
// port alone, else of the Service.
func (r *reader) tell(note annotation, format string, args ...any) {
	p := Problem{Service: r.service, Key: note.written, Text: fmt.Sprintf(format, args...)}
	if note.suffix != "" {
		p.Port = portLabel(r.port)
	}
	r.problems = append(r.problems, p)
}

// tellPort reports a Problem of the port, with the annotation to blame or an
// empty one.
func (r *reader) tellPort(note annotation, format string, args ...any) {
	r.problems = append(r.problems, Problem{
		Service: r.service, Port: portLabel(r.port), Key: note.written, Text: fmt.Sprintf(format, args...),
	})
}
