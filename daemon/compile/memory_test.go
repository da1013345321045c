// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"net/netip"
	"runtime"
	"testing"
	"weak"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/kubeapi"
)

// TestAResultHoldsNothingOfWhatItWasMadeFrom replaces the one EndpointSlice: what
// was made of the one before must be no one's.
func TestAResultHoldsNothingOfWhatItWasMadeFrom(t *testing.T) {
	key := kubeapi.Key{Namespace: "default", Name: "cart"}
	services := []*kubeapi.Service{{Key: key, Type: "ClusterIP", Ports: []kubeapi.ServicePort{{Protocol: "TCP", Port: 80}}}}
	snapshot := func(addr string) (*kubeapi.Snapshot, weak.Pointer[kubeapi.EndpointSlice]) {
		slice := &kubeapi.EndpointSlice{Key: key, Service: key.Name, Ports: []kubeapi.EndpointPort{{Protocol: "TCP", Port: 80}},
			Endpoints: []kubeapi.Endpoint{{Addr: netip.MustParseAddr(addr), Ready: true}}}
		return &kubeapi.Snapshot{Services: services, Slices: kubeapi.IndexSlices(map[kubeapi.Key][]*kubeapi.EndpointSlice{key: {slice}})}, weak.Make(slice)
	}
	cfg := config.Default()
	before, old := snapshot("10.0.0.1")
	result := compile.Compile(cfg, before, nil)
	servers := weak.Make(&result.State.Backends[0].Servers[0])
	after, _ := snapshot("10.0.0.2")
	result = compile.Compile(cfg, after, result)
	before = nil
	runtime.GC()
	if old.Value() != nil {
		t.Error("the EndpointSlice of before is still held")
	}
	if servers.Value() != nil {
		t.Error("the servers of before are still held")
	}
	runtime.KeepAlive(result)
}
