// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"errors"
)

// Resource is one of the collections that are decoded.
type Resource int

const (
	Services Resource = iota
	EndpointSlices
	Nodes
)

// String returns the plural, as RBAC rules and kubectl spell it.
func (r Resource) String() string {
	switch r {
	case Services:
		return "services"
	case Nodes:
		return "nodes"
	}
	return "endpointslices"
}

// decode decodes one object with unmarshal, which sets a value from JSON. On a
// typeError the key is what could be read of it, possibly nothing: encoding/json
// continues after a value of the wrong type.
func (r Resource) decode(unmarshal func(any) error, in Interner) (Object, Key, error) {
	var w interface {
		key() Key
		object(Interner) Object
	}
	switch r {
	case Services:
		w = new(jsonService)
	case Nodes:
		w = new(jsonNode)
	default:
		w = new(jsonSlice)
	}
	if err := unmarshal(w); err != nil {
		return nil, w.key(), plainError(err)
	}
	return w.object(in), w.key(), nil
}

// typeError is returned for valid JSON with a value of the wrong type.
type typeError struct {
	field string // such as spec.ports; "" for the whole
	value string // its type, such as "string"
}

func (e *typeError) Error() string {
	if e.field == "" {
		return "unexpected " + e.value
	}
	return e.field + ": unexpected " + e.value
}

func isTypeError(err error) bool {
	_, ok := errors.AsType[*typeError](err)
	return ok
}

// plainError returns err with the field of the object and without the name of a Go type.
func plainError(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &typeError{field: e.Field, value: e.Value}
	}
	return err
}
