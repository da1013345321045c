// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"

	"podgate/kubeapi"
)

// annotationReader parses the annotations that apply to one port of a Service,
// and collects their Problems.
type annotationReader struct {
	in          *input
	service     kubeapi.Key
	port        kubeapi.ServicePort
	annotations annotations
	problems    []Problem

	protocolFrom string              // set by readProtocol
	parsed       *[]parsedAnnotation // collects every parsed value; nil to collect none
}

// parsedAnnotation is an annotation as parsed for one port.
type parsedAnnotation struct {
	annotation annotation
	port       string // its label
	value      any    // only if err is nil
	err        error
}

func (r *annotationReader) record(a annotation, value any, err error) {
	if r.parsed != nil {
		*r.parsed = append(*r.parsed, parsedAnnotation{a, portLabel(r.port), value, err})
	}
}

// setting is the value of an annotation for one port. The zero value is that of
// an annotation that the Service does not have.
type setting[T any] struct {
	value      T
	annotation annotation
	given      bool // the Service has the annotation
	bad        bool // the annotation has no valid value
}

// valid reports whether the Service has the annotation, with a valid value.
func (s setting[T]) valid() bool { return s.given && !s.bad }

// or returns the value if it is valid, else fallback.
func (s setting[T]) or(fallback T) T {
	if !s.valid() {
		return fallback
	}
	return s.value
}

// optional parses the annotation with that key. An invalid value is reported and
// has no effect.
func optional[T any](r *annotationReader, k key, parse func(string) (T, error)) setting[T] {
	return parseAnnotation(r, k, parse, "")
}

// required parses an annotation that limits how a port is reached. Without its
// value the port would be reachable by more clients than its owner wants, so the
// caller must not serve a port whose setting is bad.
func required[T any](r *annotationReader, k key, parse func(string) (T, error)) setting[T] {
	return parseAnnotation(r, k, parse, "; the port is not served")
}

func parseAnnotation[T any](r *annotationReader, k key, parse func(string) (T, error), consequence string) setting[T] {
	a, ok := r.annotations.forPort(k, r.port)
	if !ok {
		return setting[T]{}
	}
	bad := setting[T]{annotation: a, given: true, bad: true}
	if slices.ContainsFunc(k.granted(), func(name string) bool { return !r.in.GrantsAnnotation(r.service.Namespace, name) }) {
		err := fmt.Errorf("is not granted to namespace %s in podgate.toml", r.service.Namespace)
		r.record(a, nil, err)
		r.report(NotGranted, a, "%s%s", err, consequence)
		return bad
	}
	if len(a.value) > maxValue {
		r.report(Invalid, a, "%s is longer than %d bytes%s", quote(a.value), maxValue, consequence)
		return bad
	}
	value, err := parse(a.value)
	r.record(a, value, err)
	if err != nil {
		r.report(Invalid, a, "%s%s", err, consequence)
		return bad
	}
	return setting[T]{value: value, annotation: a, given: true}
}

// report adds a Problem of an annotation. It is a Problem of the port if the
// annotation is for that port only, else of the Service.
func (r *annotationReader) report(kind Kind, a annotation, format string, args ...any) {
	p := Problem{Kind: kind, Service: r.service, Key: a.written, Text: fmt.Sprintf(format, args...)}
	if a.suffix != "" {
		p.Port = portLabel(r.port)
	}
	r.problems = append(r.problems, p)
}

// reportPort adds a Problem of the port. The annotation may be the zero value.
func (r *annotationReader) reportPort(kind Kind, a annotation, format string, args ...any) {
	r.report(kind, a, format, args...)
	r.problems[len(r.problems)-1].Port = portLabel(r.port)
}
