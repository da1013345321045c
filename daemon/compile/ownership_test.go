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

// TestABackendDoesNotGetTheNameOfASectionOfTheOperator compiles Services whose backends
// would have the names of sections in haproxy.cfg.
func TestABackendDoesNotGetTheNameOfASectionOfTheOperator(t *testing.T) {
	snap := &kubeapi.Snapshot{}
	add := func(name, backendName string) {
		svc := &kubeapi.Service{Key: kubeapi.Key{Namespace: "shop", Name: name}, Type: "ClusterIP", Ports: []kubeapi.ServicePort{{Port: 80}}}
		if backendName != "" {
			svc.Annotations = map[string]string{Prefix + "backend-name": backendName}
		}
		snap.Services = append(snap.Services, svc)
	}
	add("default", "")        // has the name of a backend by default
	add("free", "free")       // a name that is free
	add("frontend", "stats")  // a listen section
	add("other", "mine")      // has the name of a frontend by default, which conflicts with no backend
	add("renamed", "renamed") // has the name of a backend by default, and another one by annotation
	file := "/etc/haproxy/haproxy.cfg"
	m := &Machine{Sections: []Section{
		{"backend", "shop_default_80", file}, {"frontend", "shop_other_80", file}, {"backend", "shop_renamed_80", file}, {"listen", "stats", file},
	}}
	r := Compile(testConfig(), m, snap, nil)
	var got []string
	for _, b := range r.State.Backends.All() {
		got = append(got, b.Name)
	}
	if diff := cmp.Diff([]string{"free", "mine", "renamed", "shop_frontend_80"}, got); diff != "" {
		t.Errorf("backends (-want +got):\n%s", diff)
	}
	const want = "Service shop/default port 80: not served: backend name shop_default_80 is in use by section \"backend shop_default_80\" of /etc/haproxy/haproxy.cfg\n" +
		"Service shop/frontend port 80: annotation serviceloadbalancer/lb.backend-name: backend name stats is in use by section \"listen stats\" of /etc/haproxy/haproxy.cfg\n"
	if diff := cmp.Diff(want, problemLines(r.Problems)); diff != "" {
		t.Errorf("Problems (-want +got):\n%s", diff)
	}
}
