// SPDX-License-Identifier: Apache-2.0

package kubeapi

import "net/url"

// resource is one of the two collections that are followed.
type resource int

const (
	services resource = iota
	endpointSlices
)

// String returns the plural, as RBAC rules and kubectl spell it.
func (r resource) String() string {
	if r == services {
		return "services"
	}
	return "endpointslices"
}

// logKey returns the slog key of one object of the collection.
func (r resource) logKey() string {
	if r == services {
		return "service"
	}
	return "slice"
}

// url returns the collection's address below base; namespace "" is all of them.
func (r resource) url(base *url.URL, namespace string, query url.Values) string {
	elems := []string{"api", "v1"}
	if r == endpointSlices {
		elems = []string{"apis", "discovery.k8s.io", "v1"}
	}
	if namespace != "" {
		elems = append(elems, "namespaces", url.PathEscape(namespace))
	}
	u := base.JoinPath(append(elems, r.String())...)
	u.RawQuery = query.Encode()
	return u.String()
}

// object is a *Service or an *EndpointSlice.
type object interface {
	key() Key
	version() string
}

func (s *Service) key() Key              { return s.Key }
func (s *Service) version() string       { return s.ResourceVersion }
func (s *EndpointSlice) key() Key        { return s.Key }
func (s *EndpointSlice) version() string { return s.ResourceVersion }

// decode reads one object through unmarshal, which fills the value it is given
// from JSON. On an error the key is what could be read of it, possibly none:
// encoding/json goes on after a value of the wrong type.
func (r resource) decode(unmarshal func(any) error, in interner) (object, Key, error) {
	if r == services {
		var w wireService
		if err := unmarshal(&w); err != nil {
			return nil, w.key(), err
		}
		return w.service(in), w.key(), nil
	}
	var w wireSlice
	if err := unmarshal(&w); err != nil {
		return nil, w.key(), err
	}
	return w.slice(in), w.key(), nil
}
