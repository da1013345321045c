// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"fmt"
	"slices"
	"testing"

	"podgate/haproxy"
	"podgate/haproxy/haproxytest"
)

// TestApplyFitsIntoTheBuffers changes many servers and map entries of a HAProxy with
// buffers of another size than usual.
func TestApplyFitsIntoTheBuffers(t *testing.T) {
	for _, size := range []int{2048, 4000, 8192, 65536} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			pod, _ := newPod(t)
			b := newBoxOf(t, haproxytest.Options{Global: []string{fmt.Sprint("tune.bufsize ", size), "tune.maxrewrite 512"}})
			s := b.shop(t, nil, pod)
			b.load(t, s)
			s.Routes = routes(2000)
			servers := withState(haproxy.Ready, manyServers(200)...)
			a := b.apply(t, haproxy.Plan{
				Add:  changes(haproxy.AddServer, s.Backends.At(0), servers...),
				Maps: slices.DeleteFunc(s.Maps(), func(m haproxy.Map) bool { return m.Name != haproxy.RoutesMap }),
			})
			t.Logf("%d commands", a.Commands)
			compare(t, "Maps", s.Maps(), b.observe(t, s).Maps)
		})
	}
}
