// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

// resource is one of the collections that are followed.
type resource int

const (
	services resource = iota
	endpointSlices
	nodes // of no namespace, and followed only where Config.Nodes asks for it
)

// String returns the plural, as RBAC rules and kubectl spell it.
func (r resource) String() string {
	switch r {
	case services:
		return "services"
	case nodes:
		return "nodes"
	}
	return "endpointslices"
}

// group returns the API group, "" for core.
func (r resource) group() string {
	if r != endpointSlices {
		return ""
	}
	return "discovery.k8s.io"
}

// rule returns the RBAC rule that allows a verb, as it stands in a role.
func (r resource) rule(verb string) string {
	return fmt.Sprintf("{apiGroups: [%q], resources: [%s], verbs: [%s]}", r.group(), r, verb)
}

// logKey returns the slog key of one object of the collection.
func (r resource) logKey() string {
	switch r {
	case services:
		return "service"
	case nodes:
		return "node"
	}
	return "slice"
}

// url returns the collection's address below base; namespace "" is all of them.
func (r resource) url(base *url.URL, namespace string, query url.Values) string {
	elems := []string{"api", "v1"}
	if r == endpointSlices {
		elems = []string{"apis", r.group(), "v1"}
	}
	if namespace != "" {
		elems = append(elems, "namespaces", url.PathEscape(namespace))
	}
	u := base.JoinPath(append(elems, r.String())...)
	u.RawQuery = query.Encode()
	return u.String()
}

// object is a *Service, an *EndpointSlice or a *Node.
type object interface {
	key() Key
	version() string
}

func (s *Service) key() Key              { return s.Key }
func (s *Service) version() string       { return s.ResourceVersion }
func (s *EndpointSlice) key() Key        { return s.Key }
func (s *EndpointSlice) version() string { return s.ResourceVersion }

// decode reads one object through unmarshal, which fills the value it is given
// from JSON. On a typeError the key is what could be read of it, possibly none:
// encoding/json goes on after a value of the wrong type.
func (r resource) decode(unmarshal func(any) error, in interner) (object, Key, error) {
	switch r {
	case services:
		var w wireService
		if err := unmarshal(&w); err != nil {
			return nil, w.key(), plainError(err)
		}
		return w.service(in), w.key(), nil
	case nodes:
		var w wireNode
		if err := unmarshal(&w); err != nil {
			return nil, w.key(), plainError(err)
		}
		return w.node(), w.key(), nil
	}
	var w wireSlice
	if err := unmarshal(&w); err != nil {
		return nil, w.key(), plainError(err)
	}
	return w.slice(in), w.key(), nil
}

// typeError is of JSON that is sound, but holds a value of the wrong type.
type typeError struct {
	field string // such as spec.ports; "" for the whole
	value string // what stands there, such as "string"
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

// plainError returns err in the words of the object and not of our types.
func plainError(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &typeError{field: e.Field, value: e.Value}
	}
	return err
}
