//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest/realapi"
)

// nodesAndNodePorts follows Nodes with the token of the packaged account, whose role
// covers the whole cluster, and a Service of type NodePort.
func nodesAndNodePorts(t *testing.T, s *space) {
	const exclude = "node.kubernetes.io/exclude-from-external-load-balancers"
	name := s.name + "-node"
	s.post("/api/v1/nodes", object{
		"apiVersion": "v1", "kind": "Node",
		"metadata": object{"name": name, "labels": object{exclude: ""}},
		"spec":     object{"podCIDR": "10.244.7.0/24", "podCIDRs": []string{"10.244.7.0/24"}},
	})
	patch := func(path string, fields object) {
		t.Helper()
		if err := s.cluster.Admin.Do(t.Context(), http.MethodPatch, "/api/v1/nodes/"+path, realapi.MergePatch, fields, nil); err != nil {
			t.Fatal(err)
		}
	}
	patch(name+"/status", object{"status": object{
		"addresses":  []object{{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": "192.0.2.7"}},
		"conditions": []object{{"type": "Ready", "status": "True"}},
	}})
	s.service("cart", object{
		"type": "NodePort", "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP",
		"ports": []object{{"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080}},
	})

	cfg := s.config()
	cfg.Nodes = true
	write(t, cfg.TokenFile, s.cluster.Token(t, "podgate", "podgate"))
	f := s.follow(cfg)
	want := &kubeapi.Node{
		Name: name, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, Ready: true, PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.7.0/24")}, Excluded: true,
	}
	has := func(snapshot *kubeapi.Snapshot) bool {
		for _, n := range snapshot.Nodes {
			if n.Name == name {
				return cmp.Diff(want, n, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.IgnoreFields(kubeapi.Node{}, "ResourceVersion")) == ""
			}
		}
		return false
	}
	f.await("the node is excluded from load balancers", has)
	patch(name, object{"metadata": object{"labels": object{exclude: nil}}})
	want.Excluded = false
	f.await("the node is no longer excluded", has)
	patch(name+"/status", object{"status": object{"conditions": []object{{"type": "Ready", "status": "False"}}}})
	want.Ready = false
	f.await("the node is not ready", has)

	svc := f.await(servicesAre("cart")).Services[0]
	if svc.Type != "NodePort" || !svc.Local || svc.Affinity != "ClientIP" || len(svc.Ports) != 1 || svc.Ports[0].NodePort != 30080 || svc.Ports[0].TargetPort != "web" {
		t.Errorf("got %+v", svc)
	}
}
