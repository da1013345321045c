// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// tenant adds a Service with one port, of which annotations has lines KEY=VALUE, and
// its EndpointSlice.
func tenant(services map[kubeapi.Key]*kubeapi.Service, endpoints map[kubeapi.Key][]*kubeapi.EndpointSlice, key kubeapi.Key, created int64, annotations string, addr netip.Addr) {
	svc := &kubeapi.Service{
		Key: key, Created: time.Unix(created, 0), Type: "ClusterIP", Annotations: map[string]string{},
		Ports: []kubeapi.ServicePort{{Name: "web", Port: 80}},
	}
	for line := range strings.SplitSeq(annotations, "\n") {
		if k, value, ok := strings.Cut(line, "="); ok {
			svc.Annotations[Prefix+k] = value
		}
	}
	services[key] = svc
	endpoints[key] = []*kubeapi.EndpointSlice{{
		Key: kubeapi.Key{Namespace: key.Namespace, Name: key.Name + "-1"}, Service: key.Name, AddressType: "IPv4",
		Ports: []kubeapi.EndpointPort{{Name: "web", Port: 8080}}, Endpoints: []kubeapi.Endpoint{{Addr: addr, Ready: true}},
	}}
}

// FuzzTenants checks that no Service of another namespace changes a route, an answer, a
// server, a frontend or a certificate of an older namespace, and that no server has a
// reserved address.
func FuzzTenants(f *testing.F) {
	loopback, pod := []byte{127, 0, 0, 1}, []byte{10, 2, 0, 9}
	for _, annotations := range []string{
		"",
		"host=*.example.com\nsslTerm=true\ntls-secret=evil",
		"host=bank.example.com\npath=/account/login\nsslTerm=true\ntls-secret=evil",
		"host=BANK.example.com.,evil.example.com\naclMatch=-i /Account",
		"host=*.example.com,*.apps.example.com\npassthrough=true\nredirect-https=true",
		"host=a.apps.example.com",
		"host=fold.example.com\npath=/cart/x,/CART",
		"path=/,/account,/byname\naclMatch=-i /BYNAME /x",
		"backend-name=shop_bank_80\ntcp=5000",
		"backend-name=shop_late_80\ntcp=5001\ncookie-sticky-session=true",
	} {
		f.Add("evil", annotations, loopback)
		f.Add("byname", annotations, pod)
	}
	m := &Machine{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, APIServers: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	f.Fuzz(func(t *testing.T, name, annotations string, addr []byte) {
		services, endpoints := map[kubeapi.Key]*kubeapi.Service{}, map[kubeapi.Key][]*kubeapi.EndpointSlice{}
		for i, own := range []struct{ name, annotations string }{
			{"bank", "host=bank.example.com\npath=/account\nsslTerm=true\ntls-secret=bank"},
			{"byname", ""},
			{"db", "tcp=5000"},
			{"fold", "host=fold.example.com\naclMatch=-i /cart"},
			{"zone", "host=*.apps.example.com\nsslTerm=true\nbackend-name=zone"},
		} {
			tenant(services, endpoints, kubeapi.Key{Namespace: "shop", Name: own.name}, 1, own.annotations, netip.AddrFrom4([4]byte{10, 2, 0, byte(1 + i)}))
		}
		compiled := func() *Result {
			snap := &kubeapi.Snapshot{Slices: kubeapi.SliceIndex{}.With(endpoints)}
			for _, s := range services {
				snap.Services = append(snap.Services, s)
			}
			slices.SortFunc(snap.Services, func(a, b *kubeapi.Service) int { return a.Compare(b.Key) })
			return Compile(testConfig(), m, snap, nil)
		}
		want := compiled()
		a, _ := netip.AddrFromSlice(addr)
		tenant(services, endpoints, kubeapi.Key{Namespace: "default", Name: name}, 2, annotations, a)
		got := compiled()
		if diff := cmp.Diff(belongings(want, "shop"), belongings(got, "shop")); diff != "" {
			t.Errorf("Service %q with %q changes what another namespace has (-without +with):\n%s", name, annotations, diff)
		}
		for _, s := range got.Secrets {
			for _, host := range s.Hosts {
				checkSecret(t, got, s, haproxy.HostPattern(host))
			}
		}
		in := newInput(testConfig(), m, nil)
		for _, b := range got.State.Backends.All() {
			for _, srv := range b.Servers {
				if why := in.whyNoServer(srv.Addr, "pod"); why != "" {
					t.Errorf("%s has server %s, which %s", b.Name, srv.Addr, why)
				}
			}
		}
	})
}

// checkSecret checks that a Secret is for no host of another namespace.
func checkSecret(t *testing.T, r *Result, s Secret, host haproxy.HostPattern) {
	t.Helper()
	if holder := r.State.Holder(host); holder != s.Namespace {
		t.Errorf("Secret %s is for %s of namespace %q", s.Key, host, holder)
	}
	for _, h := range r.State.HeldHosts {
		if h.Namespace != s.Namespace && h.Host != host && h.Host.Wildcard() == host && !slices.Contains(s.Except, string(h.Host)) {
			t.Errorf("Secret %s is for %s without the exception of %s", s.Key, host, fmt.Sprint(h))
		}
	}
}
