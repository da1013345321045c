// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"strings"
	"testing"

	"podgate/kubeapi"
)

// TestSelectorsMatchAsInKubernetes has each operator, with and without the label.
func TestSelectorsMatchAsInKubernetes(t *testing.T) {
	labels := map[string]string{"app": "cart", "example.com/edge": "yes", "empty": ""}
	for text, want := range map[string]bool{
		"": true, " ": true,
		"app": true, "none": false, "empty": true, "!app": false, "!none": true, "! none ": true,
		"app=cart": true, "app==cart": true, " app = cart ": true, "app=pay": false, "none=": false, "empty=": true, "app=": false,
		"app!=cart": false, "app!=pay": true, "none!=cart": true, "empty!=": false,
		"app in (cart)": true, "app in ( pay , cart )": true, "app in (pay)": false, "none in (cart)": false, "empty in ()": true,
		"app notin (cart)": false, "app notin (pay,shop)": true, "none notin (cart)": true,
		"app in (cart,pay),example.com/edge=yes,!none": true, "app=cart,example.com/edge=no": false, "app,none": false,
	} {
		s, err := kubeapi.ParseSelector(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.Matches(labels); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{",", "app,", "=cart", "app=a=b", "app cart", "app in cart", "app in", "in (a)", "app is (a)", "app in (a)) ", "a!b", "!"} {
		if s, err := kubeapi.ParseSelector(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, s)
		}
	}
}

// TestDecodeSelectedHasOnlySelectedServices also has two objects with one name, of which
// the later counts.
func TestDecodeSelectedHasOnlySelectedServices(t *testing.T) {
	s, err := kubeapi.DecodeSelected(strings.NewReader(`
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: one}}
- {apiVersion: v1, kind: Service, metadata: {name: two, labels: {app: two}}}
- {apiVersion: v1, kind: Service, metadata: {name: moved, labels: {app: two}}}
- {apiVersion: v1, kind: Service, metadata: {name: moved, labels: {app: one}}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: two-a, labels: {kubernetes.io/service-name: two}}
  addressType: IPv4
`), "app=two")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Services) != 1 || s.Services[0].Name != "two" || len(s.Slices.Of(s.Services[0].Key)) != 1 {
		t.Errorf("got %v", s.Services)
	}
	if _, err := kubeapi.DecodeSelected(strings.NewReader("kind: List"), "app in two"); err == nil {
		t.Error("an invalid selector is accepted")
	}
}
