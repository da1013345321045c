// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"reflect"
	"slices"
	"time"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// onlySlicesChanged reports whether two Snapshots differ in nothing but their
// EndpointSlices, and when they were made. It does not look at what lists hold
// that are one.
func onlySlicesChanged(a, b *kubeapi.Snapshot) bool {
	if !same(a.Services, b.Services) {
		return false
	}
	x, y := *a, *b
	for _, s := range []*kubeapi.Snapshot{&x, &y} {
		s.Services, s.Slices, s.Complete, s.Since = nil, kubeapi.SliceIndex{}, 0, time.Time{}
	}
	return reflect.DeepEqual(x, y)
}

// withSlices is Compile of a Snapshot that differs from that of r in nothing but
// its EndpointSlices. It costs what changed, but for two lists of pointers that
// are copied, and returns r where that means nothing to anybody.
func (r *Result) withSlices(snap *kubeapi.Snapshot) *Result {
	var changed []int // Services
	next := *r
	next.snapshot = snap
	for key := range snap.Slices.Changed(r.snapshot.Slices) {
		i, ok := r.search(key)
		if !ok {
			continue
		}
		old := r.services[i]
		s := compileService(r.config, old.object, snap.Slices.Of(key), snap.Nodes, old)
		if s == old {
			continue
		}
		if changed == nil {
			next.services = slices.Clone(r.services)
		}
		next.services[i] = s
		changed = append(changed, i)
	}
	if changed == nil {
		return r
	}
	next.State.Backends = next.backendsWith(changed)
	told := func(i int) bool { return !slices.Equal(next.services[i].problems, r.services[i].problems) }
	if slices.ContainsFunc(changed, told) {
		next.Problems = next.problems()
	}
	return &next
}

// backendsWith is State.Backends with the servers that the changed Services have
// now; the same list where those are as they were.
func (r *Result) backendsWith(changed []int) []*haproxy.Backend {
	backends, own := r.State.Backends, false
	for _, i := range changed {
		for claim, servers := range r.services[i].servers {
			at := r.merged.backendOf(owner{i, claim})
			unknown := r.services[i].unknown(claim)
			if at < 0 || equal(backends[at].Servers, servers) && backends[at].Unknown == unknown {
				continue
			}
			if !own {
				backends, own = slices.Clone(backends), true
			}
			b := *backends[at]
			b.Servers, b.Unknown = servers, unknown
			backends[at] = &b
		}
	}
	return backends
}

// equal is slices.Equal that does not look at what a list holds that is one.
func equal[T comparable](a, b []T) bool { return same(a, b) || slices.Equal(a, b) }

// same reports whether two lists are one, and not only equal.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
