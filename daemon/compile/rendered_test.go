// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/kubeapi"
)

// TestASmallServiceHasNoLargeConfiguration compiles one Service of 300 ports and 1,000
// endpoints, with the longest annotations, which was a file of 26 MB: with the defaults,
// it has a limited size, and another namespace has all of its own.
func TestASmallServiceHasNoLargeConfiguration(t *testing.T) {
	var networks, hosts, paths []string
	for i := range 250 {
		networks = append(networks, fmt.Sprintf("10.%d.0.0/16", i))
		hosts = append(hosts, fmt.Sprintf("h%d.example.com", i))
		paths = append(paths, fmt.Sprintf("/p%d", i))
	}
	large := &kubeapi.Service{
		Key: kubeapi.Key{Namespace: "default", Name: "large"},
		Annotations: map[string]string{
			"serviceloadbalancer/lb.allow-source": strings.Join(networks[:50], ","),
			"serviceloadbalancer/lb.host":         strings.Join(hosts[:47], ","),
			"serviceloadbalancer/lb.path":         strings.Join(paths[:20], ","),
		},
	}
	slice := &kubeapi.EndpointSlice{Key: kubeapi.Key{Namespace: "default", Name: "large-1"}, Service: "large", AddressType: "IPv4"}
	for i := range 300 {
		name := fmt.Sprintf("p%d", i)
		large.Ports = append(large.Ports, kubeapi.ServicePort{Name: name, Port: uint16(1000 + i)})
		slice.Ports = append(slice.Ports, kubeapi.EndpointPort{Name: name, Port: uint16(1000 + i)})
		large.Annotations["serviceloadbalancer/lb.path."+name] = fmt.Sprintf("/%d,", i) + strings.ReplaceAll(strings.Join(paths[:20], ","), "/p", fmt.Sprintf("/%d/", i))
	}
	for i := range 1000 {
		slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Ready: true, Serving: true})
	}
	small := &kubeapi.Service{Key: kubeapi.Key{Namespace: "shop", Name: "cart"}, Ports: []kubeapi.ServicePort{{Name: "p0", Port: 80}}}
	own := *slice
	own.Key, own.Service, own.Ports = kubeapi.Key{Namespace: "shop", Name: "cart-1"}, "cart", slice.Ports[:1]
	snap := &kubeapi.Snapshot{
		Services: []*kubeapi.Service{large, small},
		Slices:   kubeapi.SliceIndex{}.With(map[kubeapi.Key][]*kubeapi.EndpointSlice{large.Key: {slice}, small.Key: {&own}}),
	}
	cfg := config.Default()
	cfg.Kubernetes.Namespaces = []string{"default", "shop"}
	r := Compile(cfg, nil, snap, nil)
	servers := map[string]int{}
	for i, b := range r.State.Backends.All() {
		servers[r.Ports[i].Service.Namespace] += len(b.Servers)
	}
	if servers["default"] > cfg.Safety.MaxServiceServers || servers["default"] == 0 || servers["shop"] != 1000 {
		t.Errorf("servers by namespace: %v", servers)
	}
	files, err := cfgfile.Render(r.State, "/var/lib/podgate/haproxy")
	if err != nil {
		t.Fatal(err)
	}
	size := len(files.Config())
	for _, m := range files.Maps {
		size += len(m)
	}
	t.Logf("%d backends, %d routes, %d servers, %d bytes", r.State.Backends.Len(), len(r.State.Routes), servers["default"], size)
	if most := int(cfg.Safety.MaxServiceSize)*3/2 + 128*(cfg.Safety.MaxServiceServers+1000); size > most {
		t.Errorf("%d bytes, want %d at most", size, most)
	}
	if n := count(r.Problems, "safety.max_service_servers") + count(r.Problems, "safety.max_service_size"); n < 2 {
		t.Errorf("problems: %v", r.Problems)
	}
}

func count(problems []Problem, text string) (n int) {
	for _, p := range problems {
		if strings.Contains(p.Text, text) {
			n++
		}
	}
	return n
}

func TestCutPorts(t *testing.T) {
	for _, row := range []struct {
		sizes []int
		most  int
		want  []int
	}{
		{[]int{3, 3}, 6, []int{3, 3}},
		{[]int{3, 3}, 5, []int{2, 2}},
		{[]int{1, 9, 9}, 9, []int{1, 4, 4}},
		{[]int{9, 1, 9}, 3, []int{1, 1, 1}},
		{[]int{9, 9, 9}, 2, []int{0, 0, 0}},
		{[]int{0, 9}, 4, []int{0, 4}},
		{[]int{5}, 0, []int{0}},
	} {
		var ports [][]haproxy.Server
		for _, n := range row.sizes {
			var servers []haproxy.Server
			for i := range n {
				servers = append(servers, haproxy.Server{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80)})
			}
			ports = append(ports, servers)
		}
		var got []int
		for _, servers := range cutPorts(ports, func(ports [][]haproxy.Server) bool { return countServers(ports) <= row.most }) {
			got = append(got, len(servers))
		}
		if fmt.Sprint(got) != fmt.Sprint(row.want) {
			t.Errorf("%v cut to %d: %v, want %v", row.sizes, row.most, got, row.want)
		}
	}
}
