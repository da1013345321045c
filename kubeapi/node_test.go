// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

func nodesOf(s *kubeapi.Snapshot) (all []kubeapi.Node) {
	for _, n := range s.Nodes {
		node := *n
		node.ResourceVersion = ""
		all = append(all, node)
	}
	return all
}

func TestFollowNodes(t *testing.T) {
	s := serveStreams(t, "web")
	want := []kubeapi.Node{
		{Name: "a", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}, Ready: true, PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")}},
		{Name: "b", Addrs: []netip.Addr{netip.MustParseAddr("fd00::2")}},
		{Name: "c", Ready: true, Excluded: true},
	}
	for _, n := range want {
		if err := s.SetNode(n); err != nil {
			t.Fatal(err)
		}
	}
	plain := follow(t, watching(s)).untilServices("web")
	if plain.Nodes != nil {
		t.Errorf("nodes although Config.Nodes is false: %v", plain.Nodes)
	}
	eventually(t, "two watches, of services and endpointslices", func() bool { return s.Watching() == 2 })
	json := serve(t) // in JSON
	json.SpeakOnlyJSON()
	for _, n := range want {
		if err := json.SetNode(n); err != nil {
			t.Fatal(err)
		}
	}
	for name, at := range map[string]*kubeapitest.Server{"watched": s, "polled": s, "in JSON": json} {
		s, cfg := at, watching(at)
		if name == "polled" {
			cfg = polling(at)
		}
		t.Run(name, func(t *testing.T) {
			cfg.Nodes = true
			f := follow(t, cfg)
			first := f.until("three nodes", func(s *kubeapi.Snapshot) bool { return len(s.Nodes) == 3 })
			if diff := cmp.Diff(want, nodesOf(first), equateAddrs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			changed := slices.Clone(want)
			changed[1].Ready = true
			if err := s.SetNode(changed[1]); err != nil {
				t.Fatal(err)
			}
			s.Delete("Node", "", "a")
			f.until("one node removed and one ready", func(s *kubeapi.Snapshot) bool {
				return cmp.Equal(changed[1:], nodesOf(s), equateAddrs())
			})
			for _, n := range want {
				if err := s.SetNode(n); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestFollowWithoutForbiddenNodes(t *testing.T) {
	s := serve(t, "web")
	s.Misbehave(kubeapitest.Forbid("list", "nodes", ""), kubeapitest.Forbid("watch", "nodes", ""))
	cfg := watching(s)
	cfg.Nodes = true
	f := follow(t, cfg)
	if first := f.untilServices("web"); first.Nodes != nil {
		t.Errorf("nodes: %v", first.Nodes)
	}
	setService(t, s, "more")
	f.untilServices("more", "web")
	s.Behave()
	if err := s.SetNode(kubeapi.Node{Name: "a", Ready: true}); err != nil {
		t.Fatal(err)
	}
	f.until("a node", func(s *kubeapi.Snapshot) bool { return len(s.Nodes) == 1 })
}
