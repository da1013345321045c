//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"podgate/kubeapi"
)

// splitByNamedPorts: pods whose port "web" is another number make a slice of
// their own.
func splitByNamedPorts(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	old, next := s.pod("old", "cart", 8080), s.pod("next", "cart", 9090)
	all.see(s.answers("cart", old+":8080", next+":9090"))
	all.see("there are two slices", func(snapshot *kubeapi.Snapshot) bool {
		return len(snapshot.Slices.Of(s.key("cart"))) == 2
	})
	s.remove("v1", "Pod", "old?gracePeriodSeconds=0")
	all.see(s.answers("cart", next+":9090"))
	all.end()
}

func terminatingPod(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	stays, leaves := s.pod("stays", "cart", 8080), s.pod("leaves", "cart", 8080)
	all.see(s.answers("cart", stays+":8080", leaves+":8080"))

	s.remove("v1", "Pod", "leaves?gracePeriodSeconds=30")
	all.see(s.answers("cart", stays+":8080", leaves+":8080 not ready terminating"))
	s.podReady("leaves", false)
	all.see(s.answers("cart", stays+":8080", leaves+":8080 not ready not serving terminating"))
	s.remove("v1", "Pod", "leaves?gracePeriodSeconds=0")
	all.see(s.answers("cart", stays+":8080"))
	all.end()
}

// scaledToZero: the slice stays, with "endpoints": null and "ports": null.
func scaledToZero(t *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	pod := s.pod("cart-1", "cart", 8080)
	all.see(s.answers("cart", pod+":8080"))
	s.remove("v1", "Pod", "cart-1?gracePeriodSeconds=0")
	all.see("the slice is empty", func(snapshot *kubeapi.Snapshot) bool {
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
		t.Errorf("the server says by something else than null that there are no endpoints (%v):\n%s", err, text)
	}
	pod = s.pod("cart-2", "cart", 8081)
	all.see(s.answers("cart", pod+":8081"))
	all.end()
}

func publishedNotReady(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	s.service("raft", object{"selector": object{"app": "cart"}, "publishNotReadyAddresses": true})
	pod := s.pod("cart-1", "cart", 8080)
	all.see(s.answers("cart", pod+":8080"))
	s.podReady("cart-1", false)
	all.see(s.answers("cart", pod+":8080 not ready not serving"))
	// What serving says beside a ready of that kind is the controller's to know.
	all.see("it is ready all the same", func(snapshot *kubeapi.Snapshot) bool {
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
	all.see("the pod is there without a port", func(snapshot *kubeapi.Snapshot) bool {
		group := snapshot.Slices.Of(s.key("raft"))
		return len(group) == 1 && len(group[0].Ports) == 0 && len(group[0].Endpoints) == 1 &&
			group[0].Endpoints[0].Addr == netip.MustParseAddr(pod)
	})
	all.see("both Services are read", func(snapshot *kubeapi.Snapshot) bool {
		return len(snapshot.Services) == 2 &&
			snapshot.Services[0].Type == "ExternalName" && snapshot.Slices.Of(s.key("mail")) == nil &&
			snapshot.Services[1].ClusterIP == "None" && snapshot.Services[1].Ports == nil
	})
	all.end()
}

// mirroredSlices: those that Kubernetes makes of Endpoints carry ready alone.
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
	all.see(s.answers("outside", "192.0.2.1:8080", "192.0.2.2:8080", resting))
	s.patch("v1", "Endpoints", "outside", subsets("192.0.2.2"))
	all.see(s.answers("outside", "192.0.2.2:8080", resting))
	s.remove("v1", "Endpoints", "outside")
	all.see(s.answers("outside"))
	all.end()
}

func slicesByHand(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", object{"selector": nil})
	s.service("pay", object{"selector": nil})
	s.slice("bare", "cart", object{"endpoints": []object{{"addresses": []string{"192.0.2.1"}}}})
	all.see(s.answers("cart", "192.0.2.1:8080"))

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
	all.see(s.answers("cart", both...))

	label := object{"metadata": object{"labels": object{"kubernetes.io/service-name": "pay"}}}
	s.patch("discovery.k8s.io/v1", "EndpointSlice", "bare", label)
	all.see(s.answers("pay", "192.0.2.1:8080"))
	all.see(s.answers("cart", both[1:]...))
	s.patch("discovery.k8s.io/v1", "EndpointSlice", "nobodys", label)
	all.see(s.answers("pay", "192.0.2.1:8080", "192.0.2.6:8080"))
	all.end()
}

func dualStack(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", object{"ipFamilyPolicy": "RequireDualStack"})
	s.podAt("cart-1", "cart", 8080, "10.200.1.1", "fd00:200::1")
	s.podAt("cart-2", "cart", 8080, "10.200.1.2", "fd00:200::2")
	all.see(s.answers("cart", "10.200.1.1:8080", "10.200.1.2:8080", "[fd00:200::1]:8080", "[fd00:200::2]:8080"))
	all.see("each family has its slice", func(snapshot *kubeapi.Snapshot) bool {
		var types []string
		for _, slice := range snapshot.Slices.Of(s.key("cart")) {
			types = append(types, slice.AddressType)
		}
		slices.Sort(types)
		return slices.Equal(types, []string{"IPv4", "IPv6"})
	})
	s.remove("v1", "Pod", "cart-1?gracePeriodSeconds=0")
	all.see(s.answers("cart", "10.200.1.2:8080", "[fd00:200::2]:8080"))
	all.end()
}

// createdAnew: the new Service is another one, and so are its slices, while those
// of the old one are still taken away.
func createdAnew(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	pod := s.pod("cart-1", "cart", 8080)
	all.see(s.answers("cart", pod+":8080"))
	for range 3 {
		old := all[0].last.Services[0].UID
		s.remove("v1", "Service", "cart")
		s.service("cart", nil)
		all.see("another Service is there", func(snapshot *kubeapi.Snapshot) bool {
			return len(snapshot.Services) == 1 && snapshot.Services[0].UID != old
		})
	}
	all.see("the old slices are gone", func(snapshot *kubeapi.Snapshot) bool {
		return len(snapshot.Slices.Of(s.key("cart"))) == 1
	})
	all.see(s.answers("cart", pod+":8080"))
	all.end()
}

func selectorOfAService(_ *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	blue, green := s.pod("blue", "cart", 8080), s.pod("green", "cart-next", 9090)
	all.see(s.answers("cart", blue+":8080"))
	s.patch("v1", "Service", "cart", object{"spec": object{"selector": object{"app": "cart-next"}}})
	all.see(s.answers("cart", green+":9090"))
	s.patch("v1", "Service", "cart", object{"spec": object{"selector": object{"app": "nothing"}}})
	all.see(s.answers("cart"))
	all.end()
}

// selectorThatIsFollowed: what leaves it arrives as DELETED.
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
	all.see(s.answers("cart", pod+":8080")) // slices are not selected
	all.see(stands())
	for range 2 {
		label("yes")
		all.see(stands("cart"))
		label("no")
		all.see(stands())
		label("yes")
		all.see(stands("cart"))
		label(nil)
		all.see(stands())
	}
	all.end()
}

func moreThanAPage(t *testing.T, s *space) {
	s.service("cart", object{"selector": nil})
	const count = 620 // a page is 500
	errs := make(chan error)
	for worker := range 8 {
		go func() { errs <- manySlices(t.Context(), s, worker, 8, count) }()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	all := s.followers()
	all.see("every slice is there", func(snapshot *kubeapi.Snapshot) bool {
		return len(snapshot.Slices.Of(s.key("cart"))) == count
	})
	s.remove("discovery.k8s.io/v1", "EndpointSlice", "cart-0")
	all.see("one slice is gone", func(snapshot *kubeapi.Snapshot) bool {
		return len(snapshot.Slices.Of(s.key("cart"))) == count-1
	})
	all.end()
}

func manySlices(ctx context.Context, s *space, first, step, end int) error {
	for i := first; i < end; i += step {
		err := s.cluster.Admin.Create(ctx, s.path("discovery.k8s.io/v1", "EndpointSlice"), object{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
			"metadata":    object{"name": fmt.Sprintf("cart-%d", i), "labels": object{"kubernetes.io/service-name": "cart"}},
			"addressType": "IPv4",
			"ports":       []object{{"name": "http", "port": 8080}},
			"endpoints":   []object{{"addresses": []string{fmt.Sprintf("192.0.2.%d", 1+i%250)}}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
