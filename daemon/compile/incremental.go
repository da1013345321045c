// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"reflect"
	"slices"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// onlySlicesChanged reports whether two Snapshots differ in nothing but their
// EndpointSlices, and when they were made. It does not look at what lists hold
// that are one.
func onlySlicesChanged(a, b *kubeapi.Snapshot) bool {
	return same(a.Services, b.Services) && (a.Nodes == nil) == (b.Nodes == nil) && (same(a.Nodes, b.Nodes) || reflect.DeepEqual(a.Nodes, b.Nodes))
}

// withSlices is Compile of a Snapshot that differs from that of r in nothing but
// its EndpointSlices. It costs what changed, and returns r where that means nothing
// to anybody.
func (r *Result) withSlices(snap *kubeapi.Snapshot) *Result {
	changed := map[int]*service{}
	next := *r
	next.snapshot = snap
	for key := range snap.Slices.Changed(r.snapshot.Slices) {
		i, ok := r.search(key)
		if !ok {
			continue
		}
		old := r.services.At(i)
		s := compileService(r.input, old.object, snap.Slices.Of(key), snap.Nodes, old)
		if s != old {
			changed[i] = s
		}
	}
	if len(changed) == 0 {
		return r
	}
	next.services = r.services.With(changed)
	next.State.Backends = r.backendsWith(changed)
	for i, s := range changed {
		if !slices.Equal(s.problems, r.services.At(i).problems) {
			next.Problems = next.problems()
			break
		}
	}
	return &next
}

// backendsWith is State.Backends with the servers that the changed Services have
// now; the same list where those are as they were.
func (r *Result) backendsWith(services map[int]*service) haproxy.Backends {
	changed := map[int]*haproxy.Backend{}
	for i, s := range services {
		for claim, servers := range s.servers {
			at := r.merged.backendOf(owner{i, claim})
			if at < 0 {
				continue
			}
			old, unknown := r.State.Backends.At(at), s.unknown(claim)
			if equal(old.Servers, servers) && old.Unknown == unknown {
				continue
			}
			b := *old
			b.Servers, b.Unknown = servers, unknown
			changed[at] = &b
		}
	}
	return r.State.Backends.With(changed)
}

// equal is slices.Equal that does not look at what a list holds that is one.
func equal[T comparable](a, b []T) bool { return same(a, b) || slices.Equal(a, b) }

// same reports whether two lists are one, and not only equal.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
