// SPDX-License-Identifier: Apache-2.0

package health_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/admin"
	"podgate/daemon/compile"
	"podgate/daemon/health"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// TestAPortWithoutServersIsReportedOnce: if compile has the reason why a port has no
// servers, the Tracker adds no other one.
func TestAPortWithoutServersIsReportedOnce(t *testing.T) {
	key := func(name string) kubeapi.Key { return kubeapi.Key{Namespace: "shop", Name: name} }
	result := &compile.Result{
		State:    haproxy.State{Backends: haproxy.ListOf(&haproxy.Backend{Name: "shop_cart_80"}, &haproxy.Backend{Name: "shop_empty_80"})},
		Ports:    []compile.ServicePort{{Service: key("cart"), Number: 80}, {Service: key("empty"), Number: 80}},
		Problems: []compile.Problem{{Kind: compile.NoEndpoints, Service: key("cart"), Port: "80", Text: "no node can be a server"}},
	}
	var tracker health.Tracker
	tracker.Set(&admin.Health{Up: map[string]int{}}, result, 0)
	var got []string
	for _, p := range tracker.Problems() {
		got = append(got, p.Service.String())
	}
	if diff := cmp.Diff([]string{"shop/empty"}, got); diff != "" {
		t.Errorf("Services with Problems (-want +got):\n%s", diff)
	}
}
