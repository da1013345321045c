// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"podgate/kubeapi"
)

// The size that podgate is built for.
const (
	benchServices  = 5000
	benchEndpoints = 20
)

func BenchmarkWhole(b *testing.B) {
	cfg, snap := testConfig(), benchSnapshot()
	for b.Loop() {
		Compile(cfg, nil, snap, nil)
	}
}

func BenchmarkOneEndpointChanged(b *testing.B) {
	cfg, snap := testConfig(), benchSnapshot()
	prev := Compile(cfg, nil, snap, nil)
	key := snap.Services[benchServices/2].Key
	endpointSlice := *snap.Slices.Of(key)[0]
	endpointSlice.Endpoints = slices.Clone(endpointSlice.Endpoints[1:])
	changed := *snap
	changed.Slices = snap.Slices.With(key, []*kubeapi.EndpointSlice{&endpointSlice})
	for b.Loop() {
		Compile(cfg, nil, &changed, prev)
	}
}

func BenchmarkOneServiceChanged(b *testing.B) {
	cfg, snap := testConfig(), benchSnapshot()
	prev := Compile(cfg, nil, snap, nil)
	changed := *snap
	changed.Services = slices.Clone(snap.Services)
	svc := *changed.Services[benchServices/2]
	svc.Annotations = map[string]string{Prefix + "host": "new.example.com"}
	changed.Services[benchServices/2] = &svc
	for b.Loop() {
		Compile(cfg, nil, &changed, prev)
	}
}

// BenchmarkOneServiceTouched is of a change that asks for nothing else.
func BenchmarkOneServiceTouched(b *testing.B) {
	cfg, snap := testConfig(), benchSnapshot()
	prev := Compile(cfg, nil, snap, nil)
	changed := *snap
	changed.Services = slices.Clone(snap.Services)
	svc := *changed.Services[benchServices/2]
	svc.ResourceVersion = "2"
	changed.Services[benchServices/2] = &svc
	for b.Loop() {
		Compile(cfg, nil, &changed, prev)
	}
}

func BenchmarkNothingChanged(b *testing.B) {
	cfg, snap := testConfig(), benchSnapshot()
	prev := Compile(cfg, nil, snap, nil)
	for b.Loop() {
		Compile(cfg, nil, snap, prev)
	}
}

// benchSnapshot has a Service with a host, one with stickiness and three
// without an annotation in each five.
func benchSnapshot() *kubeapi.Snapshot {
	snap := &kubeapi.Snapshot{Complete: 1}
	groups := make(map[kubeapi.Key][]*kubeapi.EndpointSlice, benchServices)
	for i := range benchServices {
		svc := &kubeapi.Service{
			Key:     kubeapi.Key{Namespace: "default", Name: fmt.Sprintf("svc%05d", i)},
			Created: time.Unix(int64(i*7919%benchServices), 0),
			Ports:   []kubeapi.ServicePort{{Name: "http", Port: 80}},
		}
		switch i % 5 {
		case 0:
			svc.Annotations = map[string]string{Prefix + "host": fmt.Sprintf("svc%05d.example.com", i)}
		case 1:
			svc.Annotations = map[string]string{Prefix + "cookie-sticky-session": "true"}
		}
		s := &kubeapi.EndpointSlice{
			Key:         kubeapi.Key{Namespace: "default", Name: svc.Name + "-x1"},
			Service:     svc.Name,
			AddressType: "IPv4",
			Ports:       []kubeapi.EndpointPort{{Name: "http", Port: 8080}},
		}
		for j := range benchEndpoints {
			s.Endpoints = append(s.Endpoints, kubeapi.Endpoint{
				Addr: netip.AddrFrom4([4]byte{10, byte(j), byte(i >> 8), byte(i)}), Ready: true, Serving: true,
			})
		}
		snap.Services = append(snap.Services, svc)
		groups[svc.Key] = []*kubeapi.EndpointSlice{s}
	}
	snap.Slices = kubeapi.IndexSlices(groups)
	return snap
}
