// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

func TestAServiceWithoutATimestampIsYoung(t *testing.T) {
	for _, name := range []string{"a", "c"} {
		undated := exposed(name, 1)
		undated.Created = time.Time{}
		r := Compile(testConfig(), nil, &kubeapi.Snapshot{Services: []*kubeapi.Service{undated, exposed("b", 2)}}, nil)
		wantRoute(t, r, "default_b_80")
	}
}

func TestAPortWithTooManyRoutesIsNotServed(t *testing.T) {
	svc := exposed("many", 1)
	var hosts, paths []string
	for i := range 34 {
		hosts = append(hosts, fmt.Sprintf("h%d.example.com", i))
		paths = append(paths, fmt.Sprintf("/p%d", i))
	}
	svc.Annotations = map[string]string{Prefix + "host": strings.Join(hosts, ","), Prefix + "path": strings.Join(paths, ",")}
	r := Compile(testConfig(), nil, &kubeapi.Snapshot{Services: []*kubeapi.Service{svc}}, nil)
	if len(r.State.Routes) != 0 || len(r.Problems) != 1 {
		t.Errorf("%d routes, %v", len(r.State.Routes), r.Problems)
	}
}

func TestASkippedServiceHasAReason(t *testing.T) {
	served, ignored, cloud, elsewhere := exposed("served", 1), exposed("ignored", 1), exposed("cloud", 1), exposed("elsewhere", 1)
	ignored.Annotations = map[string]string{Prefix + "ignore": "true"}
	cloud.Type, cloud.Annotations = "LoadBalancer", nil
	elsewhere.Namespace = "elsewhere"
	api := &kubeapi.Service{Key: kubeapi.Key{Namespace: "default", Name: "kubernetes"}, Ports: []kubeapi.ServicePort{{Name: "https", Port: 443}}}
	bare := exposed("bare", 1)
	bare.Annotations = nil
	snap := &kubeapi.Snapshot{Services: []*kubeapi.Service{bare, cloud, ignored, api, served, elsewhere}}
	cfg := testConfig()
	cfg.Kubernetes.Expose = config.ExposeAnnotated
	r := Compile(cfg, nil, snap, nil)
	for _, row := range []struct {
		service *kubeapi.Service
		want    string
	}{
		{served, ""},
		{&kubeapi.Service{Key: kubeapi.Key{Namespace: "default", Name: "gone"}}, ""},
		{ignored, skipIgnored},
		{cloud, skipLoadBalancer},
		{elsewhere, skipNamespace},
		{api, skipAPIServer},
		{bare, skipUnannotated},
	} {
		if e, _ := r.Explain(row.service.Key); e.Skipped != row.want {
			t.Errorf("%s is skipped because %q, want %q", row.service.Key, e.Skipped, row.want)
		}
	}
	if len(r.Problems) != 0 {
		t.Errorf("Problems: %v", r.Problems)
	}
	if p, ok := r.Service("default_served_80"); !ok || p != (ServicePort{Service: served.Key, Number: 80}) {
		t.Errorf("Service(default_served_80) = %v, %v", p, ok)
	}
	if _, ok := r.Service("default_bare_80"); ok {
		t.Error("a backend that does not exist has a Service")
	}
}

func TestUnusableAddressesAreAProblem(t *testing.T) {
	svc := exposed("odd", 1)
	slice := &kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "default", Name: "odd-1"}, Service: "odd", AddressType: "IPv6",
		Ports: []kubeapi.EndpointPort{{Port: 8080}},
	}
	for _, addr := range []string{"::ffff:10.0.0.1", "fe80::1%eth0", "::", "ff02::1", "2001:db8::1"} {
		slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: netip.MustParseAddr(addr), Ready: true})
	}
	slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Ready: true})
	r := Compile(testConfig(), nil, &kubeapi.Snapshot{
		Services: []*kubeapi.Service{svc},
		Slices:   kubeapi.SliceIndex{}.With(map[kubeapi.Key][]*kubeapi.EndpointSlice{svc.Key: {slice}}),
	}, nil)
	want := []haproxy.Server{
		{Addr: netip.MustParseAddrPort("10.0.0.1:8080"), State: haproxy.Ready},
		{Addr: netip.MustParseAddrPort("[2001:db8::1]:8080"), State: haproxy.Ready},
	}
	if !slices.Equal(r.State.Backends.At(0).Servers, want) || len(r.Problems) != 1 {
		t.Errorf("got %v, %v, want %v and one Problem", r.State.Backends.At(0).Servers, r.Problems, want)
	}
}

// exposed is a Service that claims a.example.com.
func exposed(name string, created int64) *kubeapi.Service {
	return &kubeapi.Service{
		Key:         kubeapi.Key{Namespace: "default", Name: name},
		Created:     time.Unix(created, 0),
		Annotations: map[string]string{Prefix + "host": "a.example.com"},
		Ports:       []kubeapi.ServicePort{{Port: 80}},
	}
}

func wantRoute(t *testing.T, r *Result, backend string) {
	t.Helper()
	if len(r.State.Routes) != 1 || r.State.Routes[0].Backend != backend {
		t.Errorf("routes %v, want one to %s", r.State.Routes, backend)
	}
}
