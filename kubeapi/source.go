// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"fmt"
	"net/url"

	"podgate/kubeapi/wire"
)

// source is one collection that is listed and watched by itself.
type source struct {
	resource  wire.Resource
	namespace string // "" is all of them
}

// String names the source in errors: what follows "list" or "watch".
func (s source) String() string {
	if s.namespace == "" {
		return s.resource.String()
	}
	return fmt.Sprintf("%s in namespace %q", s.resource, s.namespace)
}

// group returns the API group, "" for core.
func (s source) group() string {
	if s.resource != wire.EndpointSlices {
		return ""
	}
	return "discovery.k8s.io"
}

// rule returns the RBAC rule that allows a verb, as a role has it.
func (s source) rule(verb string) string {
	return fmt.Sprintf("{apiGroups: [%q], resources: [%s], verbs: [%s]}", s.group(), s.resource, verb)
}

// logKey returns the slog key of one object of the collection.
func (s source) logKey() string {
	switch s.resource {
	case wire.Services:
		return "service"
	case wire.Nodes:
		return "node"
	}
	return "slice"
}

// url returns the collection's address below base.
func (s source) url(base *url.URL, query url.Values) string {
	elems := []string{"api", "v1"}
	if s.resource == wire.EndpointSlices {
		elems = []string{"apis", s.group(), "v1"}
	}
	if s.namespace != "" {
		elems = append(elems, "namespaces", url.PathEscape(s.namespace))
	}
	u := base.JoinPath(append(elems, s.resource.String())...)
	u.RawQuery = query.Encode()
	return u.String()
}
