//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"podgate/kubeapi"
)

// splitByNamedPorts has pods whose port "web" has different numbers: each number has a
// slice.
func splitByNamedPorts(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	old, next := s.pod("old", "cart", 8080), s.pod("next", "cart", 9090)
	all.await(s.endpointsAre("cart", old+":8080", next+":9090"))
	all.await("there are two slices", func(snapshot *kubeapi.Snapshot) bool {
		return len(snapshot.Slices.Of(s.key("cart"))) == 2
	})
	s.remove("v1", "Pod", "old?gracePeriodSeconds=0")
	all.await(s.endpointsAre("cart", next+":9090"))
	all.end()
}

func terminatingPod(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	stays, leaves := s.pod("stays", "cart", 8080), s.pod("leaves", "cart", 8080)
	all.await(s.endpointsAre("cart", stays+":8080", leaves+":8080"))

	s.remove("v1", "Pod", "leaves?gracePeriodSeconds=30")
	all.await(s.endpointsAre("cart", stays+":8080", leaves+":8080 not ready terminating"))
	s.podReady("leaves", false)
	all.await(s.endpointsAre("cart", stays+":8080", leaves+":8080 not ready not serving terminating"))
	s.remove("v1", "Pod", "leaves?gracePeriodSeconds=0")
	all.await(s.endpointsAre("cart", stays+":8080"))
	all.end()
}

// scaledToZero keeps the slice, with "endpoints": null and "ports": null.
func scaledToZero(t *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	pod := s.pod("cart-1", "cart", 8080)
	all.await(s.endpointsAre("cart", pod+":8080"))
	s.remove("v1", "Pod", "cart-1?gracePeriodSeconds=0")
	all.await("the slice is empty", func(snapshot *kubeapi.Snapshot) bool {
		group := snapshot.Slices.Of(s.key("cart"))
		return len(group) == 1 && group[0].Endpoints == nil && group[0].Ports == nil
	})
	body, err := s.cluster.Admin.Open(t.Context(), http.MethodGet, s.path("discovery.k8s.io/v1", "EndpointSlice"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil || !bytes.Contains(text, []byte(`"endpoints":null`)) {
		t.Errorf("no endpoints are not null (%v):\n%s", err, text)
	}
	pod = s.pod("cart-2", "cart", 8081)
	all.await(s.endpointsAre("cart", pod+":8081"))
	all.end()
}

func publishedNotReady(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	s.service("raft", object{"selector": object{"app": "cart"}, "publishNotReadyAddresses": true})
	pod := s.pod("cart-1", "cart", 8080)
	all.await(s.endpointsAre("cart", pod+":8080"))
	s.podReady("cart-1", false)
	all.await(s.endpointsAre("cart", pod+":8080 not ready not serving"))
	// Whether it is serving then is up to the controller.
	all.await("it is ready", func(snapshot *kubeapi.Snapshot) bool {
		group := snapshot.Slices.Of(s.key("raft"))
		return len(group) == 1 && len(group[0].Endpoints) == 1 && group[0].Endpoints[0].Ready
	})
	all.end()
}

func withoutPortsOrSlices(_ *testing.T, s *space) {
	all := s.followers()
	s.service("raft", object{"clusterIP": "None", "ports": nil})
	s.service("mail", object{"type": "ExternalName", "externalName": "mail.example.com", "selector": nil, "ports": nil})
	pod := s.pod("raft-1", "raft", 8080)
	all.await("the pod is there without a port", func(snapshot *kubeapi.Snapshot) bool {
		group := snapshot.Slices.Of(s.key("raft"))
		return len(group) == 1 && len(group[0].Ports) == 0 && len(group[0].Endpoints) == 1 &&
			group[0].Endpoints[0].Addr == netip.MustParseAddr(pod)
	})
	all.await("both Services are read", func(snapshot *kubeapi.Snapshot) bool {
		return len(snapshot.Services) == 2 &&
			snapshot.Services[0].Type == "ExternalName" && snapshot.Slices.Of(s.key("mail")) == nil &&
			snapshot.Services[1].ClusterIP == "None" && snapshot.Services[1].Ports == nil
	})
	all.end()
}

// mirroredSlices has slices that Kubernetes makes of Endpoints, with no condition but
// ready.
func mirroredSlices(_ *testing.T, s *space) {
	all := s.followers()
	s.service("outside", object{"selector": nil})
	subsets := func(addresses ...string) object {
		var ready []object
		for _, address := range addresses {
			ready = append(ready, object{"ip": address})
		}
		return object{"subsets": []object{{
			"addresses":         ready,
			"notReadyAddresses": []object{{"ip": "192.0.2.9"}},
			"ports":             []object{{"name": "http", "port": 8080}},
		}}}
	}
	s.create("v1", "Endpoints", "outside", subsets("192.0.2.1", "192.0.2.2"))
	const resting = "192.0.2.9:8080 not ready not serving"
	all.await(s.endpointsAre("outside", "192.0.2.1:8080", "192.0.2.2:8080", resting))
	s.patch("v1", "Endpoints", "outside", subsets("192.0.2.2"))
	all.await(s.endpointsAre("outside", "192.0.2.2:8080", resting))
	s.remove("v1", "Endpoints", "outside")
	all.await(s.endpointsAre("outside"))
	all.end()
}

func slicesByHand(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", object{"selector": nil})
	s.service("pay", object{"selector": nil})
	s.slice("bare", "cart", object{"endpoints": []object{{"addresses": []string{"192.0.2.1"}}}})
	all.await(s.endpointsAre("cart", "192.0.2.1:8080"))

	s.slice("again", "cart", object{"endpoints": []object{
		{"addresses": []string{"192.0.2.1"}, "conditions": object{"ready": false}},
		{"addresses": []string{"192.0.2.2", "192.0.2.3"}},
		{"addresses": []string{"192.0.2.2"}},
		{"addresses": []string{"192.0.2.4"}, "conditions": object{"ready": false, "serving": true, "terminating": true}},
	}})
	s.slice("names", "cart", object{"addressType": "FQDN", "endpoints": []object{{"addresses": []string{"a.example.com"}}}})
	s.slice("any-port", "cart", object{"ports": []object{}, "endpoints": []object{{"addresses": []string{"192.0.2.5"}}}})
	s.slice("nobodys", "", object{
		"metadata":  object{"name": "nobodys"},
		"endpoints": []object{{"addresses": []string{"192.0.2.6"}}},
	})
	both := []string{
		"192.0.2.1:8080", "192.0.2.1:8080 not ready not serving",
		"192.0.2.2:8080", "192.0.2.2:8080",
		"192.0.2.4:8080 not ready terminating",
	}
	all.await(s.endpointsAre("cart", both...))

	label := object{"metadata": object{"labels": object{"kubernetes.io/service-name": "pay"}}}
	s.patch("discovery.k8s.io/v1", "EndpointSlice", "bare", label)
	all.await(s.endpointsAre("pay", "192.0.2.1:8080"))
	all.await(s.endpointsAre("cart", both[1:]...))
	s.patch("discovery.k8s.io/v1", "EndpointSlice", "nobodys", label)
	all.await(s.endpointsAre("pay", "192.0.2.1:8080", "192.0.2.6:8080"))
	all.end()
}

func dualStack(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", object{"ipFamilyPolicy": "RequireDualStack"})
	s.podAt("cart-1", "cart", 8080, "10.200.1.1", "fd00:200::1")
	s.podAt("cart-2", "cart", 8080, "10.200.1.2", "fd00:200::2")
	all.await(s.endpointsAre("cart", "10.200.1.1:8080", "10.200.1.2:8080", "[fd00:200::1]:8080", "[fd00:200::2]:8080"))
	all.await("each family has its slice", func(snapshot *kubeapi.Snapshot) bool {
		var types []string
		for _, slice := range snapshot.Slices.Of(s.key("cart")) {
			types = append(types, slice.AddressType)
		}
		slices.Sort(types)
		return slices.Equal(types, []string{"IPv4", "IPv6"})
	})
	s.remove("v1", "Pod", "cart-1?gracePeriodSeconds=0")
	all.await(s.endpointsAre("cart", "10.200.1.2:8080", "[fd00:200::2]:8080"))
	all.end()
}

// createdAnew has a new Service of the same name, and new slices, while those of the old
// one are still being removed.
func createdAnew(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	pod := s.pod("cart-1", "cart", 8080)
	all.await(s.endpointsAre("cart", pod+":8080"))
	for range 3 {
		old := all[0].last.Services[0].UID
		s.remove("v1", "Service", "cart")
		s.service("cart", nil)
		all.await("another Service is there", func(snapshot *kubeapi.Snapshot) bool {
			return len(snapshot.Services) == 1 && snapshot.Services[0].UID != old
		})
	}
	all.await("the old slices are gone", func(snapshot *kubeapi.Snapshot) bool {
		return len(snapshot.Slices.Of(s.key("cart"))) == 1
	})
	all.await(s.endpointsAre("cart", pod+":8080"))
	all.end()
}

// selectorThatIsFollowed has Services leave the selector, which is a DELETED event.
func selectorThatIsFollowed(_ *testing.T, s *space) {
	cfg := s.config()
	cfg.Selector = "edge=yes"
	watches := s.follow(cfg)
	cfg.Watch = false
	all := followers{watches, s.follow(cfg)}
	label := func(value any) {
		s.patch("v1", "Service", "cart", object{"metadata": object{"labels": object{"edge": value}}})
	}
	s.service("cart", nil)
	s.service("pay", nil)
	pod := s.pod("cart-1", "cart", 8080)
	all.await(s.endpointsAre("cart", pod+":8080")) // slices are not selected
	all.await(servicesAre())
	for range 2 {
		label("yes")
		all.await(servicesAre("cart"))
		label("no")
		all.await(servicesAre())
		label("yes")
		all.await(servicesAre("cart"))
		label(nil)
		all.await(servicesAre())
	}
	all.end()
}
