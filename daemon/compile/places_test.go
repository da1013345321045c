// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"testing"

	"podgate/haproxy"
	"podgate/kubeapi"
)

func TestPlacesFindEveryServiceAndNoOther(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 7, 8, 100, 5000} {
		var all []*service
		for i := range n {
			all = append(all, &service{object: &kubeapi.Service{Key: kubeapi.Key{Namespace: fmt.Sprint(i % 3), Name: fmt.Sprint("s", i)}}})
		}
		services := haproxy.ListOf(all...)
		p := newPlaces(services)
		for i, s := range all {
			if got, ok := p.find(services, s.object.Key); !ok || got != i {
				t.Errorf("%d: %s is found at %d, %t, want %d", n, s.object.Key, got, ok, i)
			}
			if got, ok := p.find(services, kubeapi.Key{Namespace: "x", Name: s.object.Name}); ok {
				t.Errorf("%d: what is not there is found at %d", n, got)
			}
		}
		if _, ok := p.find(services, kubeapi.Key{}); ok {
			t.Errorf("%d: the zero Key is found", n)
		}
	}
}
