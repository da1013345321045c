// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"reflect"
	"slices"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// onlySlicesChanged reports whether two Snapshots differ only in their
// EndpointSlices. It does not compare the elements of identical lists.
func onlySlicesChanged(a, b *kubeapi.Snapshot) bool {
	return haproxy.Same(a.Services, b.Services) && slices.Equal(a.Unread, b.Unread) && (a.Nodes == nil) == (b.Nodes == nil) && (haproxy.Same(a.Nodes, b.Nodes) || reflect.DeepEqual(a.Nodes, b.Nodes))
}

// withSlices is Compile for a Snapshot that differs from that of r only in its
// EndpointSlices. Its cost is proportional to the change. It returns r if the
// change concerns no server, and false if the servers of a namespace must be counted
// again.
func (r *Result) withSlices(snap *kubeapi.Snapshot) (*Result, bool) {
	changed := map[int]*service{}
	next := *r
	next.snapshot = snap
	for key := range snap.Slices.Changed(r.snapshot.Slices) {
		i, ok := r.search(key)
		if !ok {
			continue
		}
		old := r.services.At(i)
		s := compileService(r.input, old.object, snap, old)
		if s != old {
			changed[i] = s
		}
	}
	if len(changed) == 0 {
		return r, true
	}
	next.services = r.services.With(changed)
	if !next.withinLimits(r, changed) {
		return nil, false
	}
	next.State.Backends = r.backendsWith(changed)
	for i, s := range changed {
		if !slices.Equal(s.problems, r.services.At(i).problems) {
			next.Problems = next.problems()
			break
		}
	}
	return &next, true
}

// backendsWith returns State.Backends with the servers of the changed Services. It
// is the same list if the servers are equal.
func (r *Result) backendsWith(services map[int]*service) haproxy.Backends {
	changed := map[int]*haproxy.Backend{}
	for i, s := range services {
		for claim, servers := range s.servers {
			at := r.merged.backendOf(claimID{i, claim})
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

// equal is slices.Equal that does not compare the elements of identical lists.
func equal[T comparable](a, b []T) bool { return haproxy.Same(a, b) || slices.Equal(a, b) }
