// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	"podgate/kubeapi"
)

// ObjectChange is a change of one Service, or of its EndpointSlices.
type ObjectChange struct {
	Service kubeapi.Key
	Kind    ChangeKind
	Object  string // "EndpointSlice shop/cart-x7k2": the one that changed, or one of them
	Version string // its resourceVersion; "" if it was deleted
}

// ChangeKind is what changed of a Service.
type ChangeKind int

// The kinds.
const (
	ServiceNew ChangeKind = iota
	ServiceDeleted
	ServiceChanged   // its ports or annotations
	EndpointsChanged // only its EndpointSlices
)

// ChangedSince returns the Services that are not the same objects as in prev,
// which may be nil, sorted by Key. A change of the configuration alone changes
// none.
func (r *Result) ChangedSince(prev *Result) (changes []ObjectChange) {
	if prev == nil {
		prev = &Result{}
	}
	if prev.merged == r.merged { // the same Services
		for i := range r.services.Changed(prev.services) {
			changes = appendChange(changes, prev.services.At(i), r.services.At(i))
		}
		return changes
	}
	for _, s := range r.services.All() {
		if i, ok := prev.search(s.object.Key); !ok {
			changes = append(changes, ObjectChange{s.object.Key, ServiceNew, "Service " + s.object.String(), s.object.ResourceVersion})
		} else if old := prev.services.At(i); old != s {
			changes = appendChange(changes, old, s)
		}
	}
	for _, s := range prev.services.All() {
		if _, ok := r.search(s.object.Key); !ok {
			changes = append(changes, ObjectChange{s.object.Key, ServiceDeleted, "Service " + s.object.String(), ""})
		}
	}
	slices.SortStableFunc(changes, func(a, b ObjectChange) int { return a.Service.Compare(b.Service) })
	return changes
}

func appendChange(changes []ObjectChange, before, now *service) []ObjectChange {
	c := ObjectChange{Service: now.object.Key, Kind: EndpointsChanged}
	if before.object != now.object {
		c.Kind, c.Object, c.Version = ServiceChanged, "Service "+now.object.String(), now.object.ResourceVersion
		return append(changes, c)
	}
	for _, s := range now.slices {
		if !slices.Contains(before.slices, s) {
			c.Object, c.Version = "EndpointSlice "+s.String(), s.ResourceVersion
		}
	}
	for _, s := range before.slices {
		if c.Object == "" && !slices.Contains(now.slices, s) {
			c.Object = "EndpointSlice " + s.String()
		}
	}
	if c.Object == "" {
		return changes
	}
	return append(changes, c)
}
