//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"net/netip"
	"slices"
	"testing"

	"podgate/kubeapi"
)

func withoutPortsOrSlices(_ *testing.T, s *space) {
	all := s.followers()
	s.service("raft", object{"clusterIP": "None", "ports": nil})
	s.service("mail", object{"type": "ExternalName", "externalName": "mail.example.com", "selector": nil, "ports": nil})
	pod := s.pod("raft-1", "raft", 8080)
	all.await("the slice has the pod and no port", func(snapshot *kubeapi.Snapshot) bool {
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

// mirroredSlices follows slices that Kubernetes makes of Endpoints. Their only condition
// is ready.
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
	const notReady = "192.0.2.9:8080 not ready not serving"
	all.await(s.endpointsAre("outside", "192.0.2.1:8080", "192.0.2.2:8080", notReady))
	s.patch("v1", "Endpoints", "outside", subsets("192.0.2.2"))
	all.await(s.endpointsAre("outside", "192.0.2.2:8080", notReady))
	s.remove("v1", "Endpoints", "outside")
	all.await(s.endpointsAre("outside"))
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

// createdAgain deletes a Service and creates another of the same name, while the slices
// of the first one still exist.
func createdAgain(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	pod := s.pod("cart-1", "cart", 8080)
	all.await(s.endpointsAre("cart", pod+":8080"))
	for range 3 {
		old := all[0].last.Services[0].UID
		s.remove("v1", "Service", "cart")
		s.service("cart", nil)
		all.await("the new Service exists", func(snapshot *kubeapi.Snapshot) bool {
			return len(snapshot.Services) == 1 && snapshot.Services[0].UID != old
		})
	}
	all.await("the old slices are deleted", func(snapshot *kubeapi.Snapshot) bool {
		return len(snapshot.Slices.Of(s.key("cart"))) == 1
	})
	all.await(s.endpointsAre("cart", pod+":8080"))
	all.end()
}
