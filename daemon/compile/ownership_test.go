// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/config"
	"podgate/kubeapi"
)

// TestASecretIsForHostsOfItsNamespace compiles Services of two namespaces that claim
// the same zone.
func TestASecretIsForHostsOfItsNamespace(t *testing.T) {
	cfg := testConfig()
	cfg.Safety.HostOwnership = config.OwnedByNone
	snap := &kubeapi.Snapshot{}
	add := func(namespace, name, host, path string, created int64) {
		snap.Services = append(snap.Services, &kubeapi.Service{
			Key: kubeapi.Key{Namespace: namespace, Name: name}, Created: time.Unix(created, 0), Type: "ClusterIP",
			Ports: []kubeapi.ServicePort{{Port: 80}},
			Annotations: map[string]string{
				Prefix + "host": host, Prefix + "path": path, Prefix + "sslTerm": "true", Prefix + "tls-secret": name + "-tls",
			},
		})
	}
	add("default", "bank", "bank.example.com", "/", 1)
	add("default", "late", "late.example.com", "/", 4)
	add("shop", "wild", "*.example.com, shop.example.com", "/", 3)
	add("shop", "longer", "bank.example.com", "/login", 3)
	r := Compile(cfg, nil, snap, nil)
	var got []string
	for _, s := range r.Secrets {
		got = append(got, fmt.Sprint(s.Key, s.Hosts, s.Except))
	}
	want := []string{
		"default/bank-tls [bank.example.com] []",
		"default/late-tls [late.example.com] []",
		"shop/wild-tls [*.example.com shop.example.com] [bank.example.com late.example.com]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Secrets (-want +got):\n%s", diff)
	}
	wantProblems := "Service shop/longer port 80: annotation serviceloadbalancer/lb.tls-secret: host bank.example.com belongs to namespace default (Service default/bank port 80) and keeps its certificate\n"
	if diff := cmp.Diff(wantProblems, problemLines(r.Problems)); diff != "" {
		t.Errorf("Problems (-want +got):\n%s", diff)
	}
}
