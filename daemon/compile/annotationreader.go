// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"

	"podgate/kubeapi"
)

// annotationReader reads the annotations that hold for one port of a Service and gathers
// what is wrong with them.
type annotationReader struct {
	cfg         *input
	service     kubeapi.Key
	port        kubeapi.ServicePort
	annotations annotations
	problems    []Problem
	parsed      *[]parsedAnnotation // what was read, for who asks to see it; nil for nobody
}

// parsedAnnotation is an annotation as it was read for one port.
type parsedAnnotation struct {
	annotation annotation
	port       string // its label
	value      any    // of no meaning beside err
	err        error
}

func (r *annotationReader) record(a annotation, value any, err error) {
	if r.parsed != nil {
		*r.parsed = append(*r.parsed, parsedAnnotation{a, portLabel(r.port), value, err})
	}
}

// setting is the value of an annotation for one port.
type setting[T any] struct {
	value      T
	annotation annotation
	given      bool // the annotation is there
	bad        bool // and its value cannot be read
}

// or is the value where there is one that can be read, else fallback.
func (s setting[T]) or(fallback T) T {
	if !s.given || s.bad {
		return fallback
	}
	return s.value
}

// optional reads the annotation of that key for the reader's port. A value that
// parse refuses is told, and the key falls back to its default.
func optional[T any](r *annotationReader, k key, parse func(string) (T, error)) setting[T] {
	return readAnnotation(r, k, parse, "")
}

// required is read for a key that narrows who reaches the port, and how. To
// fall back to its default would open the port further than was asked for, so
// the caller does not serve a port with a bad one.
func required[T any](r *annotationReader, k key, parse func(string) (T, error)) setting[T] {
	return readAnnotation(r, k, parse, "; the port is not served")
}

func readAnnotation[T any](r *annotationReader, k key, parse func(string) (T, error), consequence string) setting[T] {
	a, ok := r.annotations.forPort(k, r.port)
	if !ok {
		return setting[T]{}
	}
	if k != keyIgnore && !r.cfg.GrantsAnnotation(r.service.Namespace, string(k)) {
		err := fmt.Errorf("is not granted to namespace %s in podgate.toml", r.service.Namespace)
		r.record(a, nil, err)
		r.report(NotGranted, a, "%s%s", err, consequence)
		return setting[T]{annotation: a, given: true, bad: true}
	}
	if len(a.value) > maxValue {
		r.report(Invalid, a, "%s is longer than %d bytes%s", quote(a.value), maxValue, consequence)
		return setting[T]{annotation: a, given: true, bad: true}
	}
	value, err := parse(a.value)
	r.record(a, value, err)
	if err != nil {
		r.report(Invalid, a, "%s%s", err, consequence)
		return setting[T]{annotation: a, given: true, bad: true}
	}
	return setting[T]{value: value, annotation: a, given: true}
}

// report adds a Problem of an annotation: of the port where the annotation is
// for that port alone, else of the Service.
func (r *annotationReader) report(kind Kind, a annotation, format string, args ...any) {
	p := Problem{Kind: kind, Service: r.service, Key: a.written, Text: fmt.Sprintf(format, args...)}
	if a.suffix != "" {
		p.Port = portLabel(r.port)
	}
	r.problems = append(r.problems, p)
}

// reportPort adds a Problem of the port; the annotation may be the zero value.
func (r *annotationReader) reportPort(kind Kind, a annotation, format string, args ...any) {
	r.report(kind, a, format, args...)
	r.problems[len(r.problems)-1].Port = portLabel(r.port)
}
