// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/daemon/reconcile"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

// newView is a View of a podgate in sync, with that many Services of so many
// pods each.
func newView(t testing.TB, services, pods int) *View {
	t.Helper()
	c := config.Default()
	c.Kubernetes.Servers = []string{"http://127.0.0.1:1"}
	c.Kubernetes.Namespaces = []string{"shop"}
	snapshot := &kubeapi.Snapshot{}
	groups := map[kubeapi.Key][]*kubeapi.EndpointSlice{}
	addr := netip.MustParseAddr("10.0.0.1")
	for i := range services {
		key := kubeapi.Key{Namespace: "shop", Name: fmt.Sprintf("svc-%05d", i)}
		snapshot.Services = append(snapshot.Services, &kubeapi.Service{
			Key: key, ResourceVersion: "1", Created: time.Unix(int64(i), 0), Ports: []kubeapi.ServicePort{{Name: "web", Port: 80}},
			Annotations: map[string]string{compile.Prefix + "host": key.Name + ".example.com"},
		})
		slice := &kubeapi.EndpointSlice{
			Key: kubeapi.Key{Namespace: "shop", Name: key.Name + "-1"}, ResourceVersion: "2", Service: key.Name, AddressType: "IPv4",
			Ports: []kubeapi.EndpointPort{{Name: "web", Port: 8080}},
		}
		for range pods {
			addr = addr.Next()
			slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: addr, Ready: true, Serving: true, Pod: "pod-" + addr.String()})
		}
		groups[key] = []*kubeapi.EndpointSlice{slice}
	}
	snapshot.Slices = kubeapi.SliceIndex{}.With(groups)
	client, err := kubeapi.New(kubeapi.Config{Server: c.Kubernetes.Servers[0], Namespaces: c.Kubernetes.Namespaces}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	v := &View{
		Version: "1.2.3", Started: time.Now().Add(-time.Hour), At: time.Now(), Config: c, ConfigFile: "/etc/podgate/podgate.toml",
		API: client, Snapshot: snapshot, Result: compile.Compile(c, nil, snapshot, nil),
		Edge: Edge{
			Status:  reconcile.Status{Process: runtime.Process{Version: "2.6.12", Pid: 7, Generation: "abc"}, InSync: true},
			Since:   time.Now().Add(-time.Minute),
			Runtime: runtime.New("/nonexistent/admin.sock", "/nonexistent/master.sock", "/nonexistent"),
		},
		Health:  &Health{At: time.Now(), Up: map[string]int{}},
		Latency: NewLatency(),
		Changes: []*Change{{At: time.Now(), Service: "shop/svc-00000", What: "1 server in", Object: "EndpointSlice shop/svc-00000-1", Version: "2", How: ByRuntime, Waited: Seconds(12 * time.Millisecond)}},
	}
	for _, b := range v.Result.State.Backends.All() {
		v.Health.Up[b.Name] = len(b.Servers)
	}
	v.Health.Before = v.Result.State.Backends
	return v
}

func newServer(v *View, hosts ...string) *Server {
	s := New(config.Admin{Hosts: hosts}, slog.New(slog.DiscardHandler))
	if v != nil {
		s.Publish(v)
	}
	return s
}
