// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	"podgate/kubeapi"
)

// ObjectChange is a Service of which an object changed between two Results.
type ObjectChange struct {
	Service kubeapi.Key
	Kind    ChangeKind
	Object  string // "EndpointSlice shop/cart-x7k2": the one that changed, or one of them
	Version string // its resourceVersion; "" where it is gone
}

// ChangeKind says what of a Service changed.
type ChangeKind int

// The kinds.
const (
	ServiceNew ChangeKind = iota
	ServiceGone
	ServiceChanged   // its ports or annotations
	EndpointsChanged // its EndpointSlices alone
)

// ChangedSince tells which Services are not the same objects as in prev, which
// may be nil, sorted by Key. What podgate.toml makes of them does not count.
func (r *Result) ChangedSince(prev *Result) (changes []ObjectChange) {
	if prev != nil && prev.merged == r.merged { // of the same Services
		for i := range r.services.Changed(prev.services) {
			changes = appendChange(changes, prev.services.At(i), r.services.At(i))
		}
		return changes
	}
	var before []*service
	if prev != nil {
		before = prev.services.Slice()
	}
	now := r.services.Slice()
	for len(before) > 0 || len(now) > 0 {
		if len(before) > 0 && len(now) > 0 && before[0] == now[0] {
			before, now = before[1:], now[1:]
			continue
		}
		switch order := compareHeads(before, now); {
		case order < 0:
			changes = append(changes, ObjectChange{before[0].object.Key, ServiceGone, "Service " + before[0].object.String(), ""})
			before = before[1:]
		case order > 0:
			changes = append(changes, ObjectChange{now[0].object.Key, ServiceNew, "Service " + now[0].object.String(), now[0].object.ResourceVersion})
			now = now[1:]
		default:
			changes = appendChange(changes, before[0], now[0])
			before, now = before[1:], now[1:]
		}
	}
	return changes
}

func compareHeads(a, b []*service) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return a[0].object.Compare(b[0].object.Key)
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
