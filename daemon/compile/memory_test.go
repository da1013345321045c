// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"weak"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/kubeapi"
)

// TestAResultDoesNotKeepOldObjects replaces the only EndpointSlice: the old one and
// its servers must be collectable.
func TestAResultDoesNotKeepOldObjects(t *testing.T) {
	key := kubeapi.Key{Namespace: "default", Name: "cart"}
	services := []*kubeapi.Service{{Key: key, Type: "ClusterIP", Ports: []kubeapi.ServicePort{{Protocol: "TCP", Port: 80}}}}
	snapshot := func(addr string) (*kubeapi.Snapshot, weak.Pointer[kubeapi.EndpointSlice]) {
		slice := &kubeapi.EndpointSlice{Key: key, Service: key.Name, Ports: []kubeapi.EndpointPort{{Protocol: "TCP", Port: 80}},
			Endpoints: []kubeapi.Endpoint{{Addr: netip.MustParseAddr(addr), Ready: true}}}
		return &kubeapi.Snapshot{Services: services, Slices: kubeapi.SliceIndex{}.With(map[kubeapi.Key][]*kubeapi.EndpointSlice{key: {slice}})}, weak.Make(slice)
	}
	cfg := config.Default()
	before, old := snapshot("10.0.0.1")
	result := compile.Compile(cfg, nil, before, nil)
	servers := weak.Make(&result.State.Backends.At(0).Servers[0])
	after, _ := snapshot("10.0.0.2")
	result = compile.Compile(cfg, nil, after, result)
	before = nil
	runtime.GC()
	if old.Value() != nil {
		t.Error("the old EndpointSlice is still referenced")
	}
	if servers.Value() != nil {
		t.Error("the old servers are still referenced")
	}
	runtime.KeepAlive(result)
}

// TestAnEventCostsWhatChanged adds and removes one endpoint in clusters of two sizes:
// the larger must not allocate a copy of itself.
func TestAnEventCostsWhatChanged(t *testing.T) {
	cost := func(services int) uint64 {
		const events = 200
		snapshots := eventSnapshots(services)
		cfg := config.Default()
		result := compile.Compile(cfg, nil, snapshots[0], nil)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range events {
			last := result
			result = compile.Compile(cfg, nil, snapshots[(i+1)%2], last)
			if len(result.ChangedSince(last)) != 1 {
				t.Fatal("an endpoint was added or removed, but nothing changed")
			}
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / events
	}
	small, large := cost(100), cost(5000)
	if more := int64(large) - int64(small); more > 4000 {
		t.Errorf("an event takes %d bytes among 5,000 Services, %d among 100", large, small)
	}
}

// eventSnapshots are two that differ in one endpoint.
func eventSnapshots(services int) [2]*kubeapi.Snapshot {
	snap := &kubeapi.Snapshot{Complete: 1}
	groups := map[kubeapi.Key][]*kubeapi.EndpointSlice{}
	for i := range services {
		key := kubeapi.Key{Namespace: "default", Name: fmt.Sprintf("svc%05d", i)}
		snap.Services = append(snap.Services, &kubeapi.Service{Key: key, Type: "ClusterIP", Ports: []kubeapi.ServicePort{{Protocol: "TCP", Port: 80}}})
		groups[key] = []*kubeapi.EndpointSlice{{Key: key, Service: key.Name, Ports: []kubeapi.EndpointPort{{Protocol: "TCP", Port: 80}},
			Endpoints: []kubeapi.Endpoint{{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Ready: true}}}}
	}
	snap.Slices = kubeapi.SliceIndex{}.With(groups)
	key := snap.Services[services/2].Key
	without := *groups[key][0]
	without.Endpoints = nil
	next := *snap
	next.Slices = snap.Slices.With(map[kubeapi.Key][]*kubeapi.EndpointSlice{key: {&without}})
	return [2]*kubeapi.Snapshot{snap, &next}
}
