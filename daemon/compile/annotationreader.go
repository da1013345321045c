// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"

	"podgate/kubeapi"
)

// reader reads the annotations that hold for one port of a Service and gathers
// what is wrong with them.
type reader struct {
	cfg      *input
	service  kubeapi.Key
	port     kubeapi.ServicePort
	notes    annotations
	problems []Problem
	record   *[]reading // what was read, for who asks to see it; nil for nobody
}

// reading is an annotation as it was read for one port.
type reading struct {
	note  annotation
	port  string // its label
	value any    // of no meaning beside err
	err   error
}

func (r *reader) recordReading(note annotation, value any, err error) {
	if r.record != nil {
		*r.record = append(*r.record, reading{note, portLabel(r.port), value, err})
	}
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
	if k != keyIgnore && !r.cfg.GrantsAnnotation(r.service.Namespace, string(k)) {
		err := fmt.Errorf("is not granted to namespace %s in podgate.toml", r.service.Namespace)
		r.recordReading(note, nil, err)
		r.tell(note, "%s%s", err, consequence).Kind = NotGranted
		return setting[T]{note: note, given: true, bad: true}
	}
	if len(note.value) > maxValue {
		r.tell(note, "%s is longer than %d bytes%s", quote(note.value), maxValue, consequence)
		return setting[T]{note: note, given: true, bad: true}
	}
	value, err := parse(note.value)
	r.recordReading(note, value, err)
	if err != nil {
		r.tell(note, "%s%s", err, consequence)
		return setting[T]{note: note, given: true, bad: true}
	}
	return setting[T]{value: value, note: note, given: true}
}

// tell reports a Problem of an annotation: of the port where it is for that
// port alone, else of the Service. It is an Invalid one unless the caller makes
// it another, before it reports the next.
func (r *reader) tell(note annotation, format string, args ...any) *Problem {
	p := Problem{Kind: Invalid, Service: r.service, Key: note.written, Text: fmt.Sprintf(format, args...)}
	if note.suffix != "" {
		p.Port = portLabel(r.port)
	}
	r.problems = append(r.problems, p)
	return &r.problems[len(r.problems)-1]
}

// tellPort is tell of the port, with the annotation to blame or an empty one.
func (r *reader) tellPort(note annotation, format string, args ...any) *Problem {
	p := r.tell(note, format, args...)
	p.Port = portLabel(r.port)
	return p
}
