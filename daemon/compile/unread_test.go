// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"net/netip"
	"testing"

	"podgate/kubeapi"
)

// While the EndpointSlices of a namespace are not known, neither are the servers of its
// Services; those of other namespaces are.
func TestServersAreUnknownWhileEndpointSlicesAreUnread(t *testing.T) {
	var services []*kubeapi.Service
	groups := map[kubeapi.Key][]*kubeapi.EndpointSlice{}
	for _, key := range []kubeapi.Key{{Namespace: "bank", Name: "vault"}, {Namespace: "shop", Name: "cart"}} {
		services = append(services, &kubeapi.Service{Key: key, Ports: []kubeapi.ServicePort{{Name: "web", Port: 80}}})
		groups[key] = []*kubeapi.EndpointSlice{{
			Key: kubeapi.Key{Namespace: key.Namespace, Name: key.Name + "-1"}, Service: key.Name, AddressType: "IPv4",
			Ports:     []kubeapi.EndpointPort{{Name: "web", Port: 8080}},
			Endpoints: []kubeapi.Endpoint{{Addr: netip.MustParseAddr("10.0.0.1"), Ready: true, Serving: true}},
		}}
	}
	all := kubeapi.SliceIndex{}.With(groups)
	delete(groups, kubeapi.Key{Namespace: "bank", Name: "vault"})
	some := kubeapi.SliceIndex{}.With(groups)
	cfg := testConfig()
	cfg.Kubernetes.Namespaces = []string{"bank", "shop"}
	var result *Result
	for _, step := range []struct {
		name   string
		slices kubeapi.SliceIndex
		unread []string
		vault  bool // is unknown
		cart   bool
	}{
		{"the EndpointSlices of bank were never read", some, []string{"bank"}, true, false},
		{"they can be read", all, nil, false, false},
		{"only Unread differs", all, []string{"bank"}, true, false},
		{"those of all namespaces are unread", all, []string{""}, true, true},
		{"all can be read", all, nil, false, false},
	} {
		result = Compile(cfg, nil, &kubeapi.Snapshot{Services: services, Slices: step.slices, Unread: step.unread}, result)
		for name, want := range map[string]bool{"bank_vault_80": step.vault, "shop_cart_80": step.cart} {
			b, ok := result.State.Backend(name)
			if !ok || b.Unknown != want {
				t.Errorf("%s: %s: there %t, unknown %t, want %t", step.name, name, ok, b.Unknown, want)
			}
		}
	}
}
