// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// TestAPartIsLeftToOneReload rejects the same map before and after a reload.
func TestAPartIsLeftToOneReload(t *testing.T) {
	r := &Reconciler{}
	want := haproxy.State{Routes: []haproxy.Route{{Path: "/a", Backend: "a"}}}
	backend := &haproxy.Backend{Name: "a"}
	rejected := []runtime.Rejection{
		{Map: haproxy.RoutesMap, Reply: "no", AtReload: true},
		{Change: haproxy.ServerChange{Op: haproxy.AddServer, Backend: backend}, Reply: "no such server"},
	}
	routes := haproxy.Part{Map: haproxy.RoutesMap}
	for _, step := range []struct {
		name  string
		do    func()
		want  map[haproxy.Part]string
		final int
	}{
		{"it is left to a reload", func() { r.leaveToReload(rejected, want) }, map[haproxy.Part]string{routes: "no"}, 1},
		{"the reload clears it", func() { r.settleAtReload(want) }, nil, 2},
		{"it is not left to another reload", func() { r.leaveToReload(rejected, want) }, nil, 2},
		{"something else is wanted", func() {
			want.Routes = []haproxy.Route{{Path: "/b", Backend: "a"}}
			r.leaveToReload(rejected, want)
		}, map[haproxy.Part]string{routes: "no"}, 1},
	} {
		step.do()
		if diff := cmp.Diff(step.want, r.have.AtReload); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if got := len(r.final(rejected)); got != step.final {
			t.Errorf("%s: %d rejections are reported, want %d", step.name, got, step.final)
		}
	}
}
