// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"net/netip"
	"strings"
	"testing"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

func TestReservedAddressesAreNotServed(t *testing.T) {
	for _, row := range []struct {
		addr     string
		networks string // separated by blanks
		mode     config.UpstreamMode
		want     string // "" if it is served
	}{
		{"10.2.0.1:8080", "", config.UpstreamPod, ""},
		{"[fd00:2::1]:8080", "", config.UpstreamPod, ""},
		{"127.0.0.1:9180", "", config.UpstreamPod, "is a loopback address (safety.networks in podgate.toml can list 127.0.0.0/8)"},
		{"127.0.0.1:9180", "127.0.0.0/8", config.UpstreamPod, ""},
		{"127.0.0.1:9180", "127.0.0.1/32", config.UpstreamPod, ""},
		{"127.0.0.2:9180", "127.0.0.1/32", config.UpstreamPod, "is a loopback address (safety.networks in podgate.toml can list 127.0.0.0/8)"},
		{"127.0.0.1:9180", "0.0.0.0/0", config.UpstreamPod, "is a loopback address (safety.networks in podgate.toml can list 127.0.0.0/8)"},
		{"127.0.0.1:9180", "", config.UpstreamNodePort, "is a loopback address (safety.networks in podgate.toml can list 127.0.0.0/8)"},
		{"[::1]:80", "::/0", config.UpstreamPod, "is a loopback address (safety.networks in podgate.toml can list ::1/128)"},
		{"169.254.1.1:80", "", config.UpstreamPod, "is a link-local address (safety.networks in podgate.toml can list 169.254.0.0/16)"},
		{"169.254.169.254:80", "169.254.0.0/16", config.UpstreamPod, "is the address of a metadata service (safety.networks in podgate.toml can list 169.254.169.254/32)"},
		{"169.254.169.254:80", "169.254.169.254/32", config.UpstreamPod, ""},
		{"100.100.100.200:80", "", config.UpstreamPod, "is the address of a metadata service (safety.networks in podgate.toml can list 100.100.100.200/32)"},
		{"168.63.129.16:80", "", config.UpstreamPod, "is the address of a metadata service (safety.networks in podgate.toml can list 168.63.129.16/32)"},
		{"192.0.0.192:80", "", config.UpstreamClusterIP, "is the address of a metadata service (safety.networks in podgate.toml can list 192.0.0.192/32)"},
		{"[fd00:ec2::254]:80", "fd00::/8", config.UpstreamPod, "is the address of a metadata service (safety.networks in podgate.toml can list fd00:ec2::254/128)"},
		{"[fe80::1]:80", "", config.UpstreamPod, "is a link-local address (safety.networks in podgate.toml can list fe80::/10)"},
		{"0.0.0.1:80", "", config.UpstreamPod, "is an unspecified address (safety.networks in podgate.toml can list 0.0.0.0/8)"},
		{"224.0.0.1:80", "", config.UpstreamPod, "is a multicast address (safety.networks in podgate.toml can list 224.0.0.0/4)"},
		{"[ff02::1]:80", "", config.UpstreamPod, "is a multicast address (safety.networks in podgate.toml can list ff00::/8)"},
		{"255.255.255.255:80", "", config.UpstreamPod, "is the broadcast address (safety.networks in podgate.toml can list 255.255.255.255/32)"},
		{"[::127.0.0.1]:8080", "127.0.0.0/8 ::/0", config.UpstreamPod, "is an IPv6 form of 127.0.0.1, a loopback address (safety.networks in podgate.toml can list ::7f00:1/128)"},
		{"[64:ff9b::a9fe:a9fe]:80", "64:ff9b::/96", config.UpstreamPod, "is an IPv6 form of 169.254.169.254, the address of a metadata service (safety.networks in podgate.toml can list 64:ff9b::a9fe:a9fe/128)"},
		{"[64:ff9b::a9fe:a9fe]:80", "64:ff9b::a9fe:a9fe/128", config.UpstreamPod, ""},
		{"[64:ff9b:1:a9fe:00a9:fe00::]:80", "", config.UpstreamPod, "is an IPv6 form of 169.254.169.254, the address of a metadata service (safety.networks in podgate.toml can list 64:ff9b:1:a9fe:a9:fe00::/128)"},
		{"[64:ff9b:1::7f00:1]:8080", "", config.UpstreamPod, "is an IPv6 form of 127.0.0.1, a loopback address (safety.networks in podgate.toml can list 64:ff9b:1::7f00:1/128)"},
		{"[::ffff:0:7f00:1]:8080", "", config.UpstreamPod, "is an IPv6 form of 127.0.0.1, a loopback address (safety.networks in podgate.toml can list ::ffff:0:7f00:1/128)"},
		{"[2002:7f00:1::1]:8080", "", config.UpstreamPod, "is an IPv6 form of 127.0.0.1, a loopback address (safety.networks in podgate.toml can list 2002:7f00:1::1/128)"},
		{"[64:ff9b:1:a02:0:100::]:80", "", config.UpstreamPod, ""},
		{"[64:ff9b::7f00:1]:80", "64:ff9b::7f00:1/128", config.UpstreamPod, "leads back to HAProxy, which listens on 0.0.0.0:80 (http.bind)"},
		{"[64:ff9b::a02:1]:80", "", config.UpstreamPod, ""},
		{"192.0.2.7:8080", "", config.UpstreamPod, "is an address of this machine (safety.networks in podgate.toml can list 192.0.2.7/32)"},
		{"[64:ff9b::c000:207]:8080", "", config.UpstreamPod, "is an IPv6 form of 192.0.2.7, an address of this machine (safety.networks in podgate.toml can list 64:ff9b::c000:207/128)"},
		{"192.0.2.7:8080", "192.0.2.0/24", config.UpstreamPod, "is an address of this machine (safety.networks in podgate.toml can list 192.0.2.7/32)"},
		{"192.0.2.7:8080", "192.0.2.7/32", config.UpstreamPod, ""},
		{"192.0.2.7:30080", "", config.UpstreamNodePort, ""},
		{"192.0.2.7:80", "", config.UpstreamClusterIP, ""},
		{"192.0.2.7:80", "192.0.2.7/32", config.UpstreamPod, "leads back to HAProxy, which listens on 0.0.0.0:80 (http.bind)"},
		{"127.0.0.9:80", "127.0.0.0/8", config.UpstreamPod, "leads back to HAProxy, which listens on 0.0.0.0:80 (http.bind)"},
		{"127.0.0.1:10801", "127.0.0.0/8", config.UpstreamPod, "leads back to HAProxy, which listens on 127.0.0.1:10801 (http.relay)"},
		{"127.0.0.2:10801", "127.0.0.0/8", config.UpstreamPod, ""},
		{"198.51.100.1:443", "", config.UpstreamNodePort, "leads back to HAProxy, which listens on 198.51.100.1:443 (https.bind)"},
		{"198.51.100.2:8404", "", config.UpstreamPod, "leads back to HAProxy, which listens on 198.51.100.2:8404 (stats.bind)"},
		{"192.0.2.7:7001", "192.0.2.7/32", config.UpstreamPod, "leads back to HAProxy, which may listen on 0.0.0.0:7000-7001 (tcp.allowed_ports)"},
		{"127.0.0.9:7000", "127.0.0.0/8", config.UpstreamPod, "leads back to HAProxy, which may listen on 0.0.0.0:7000-7001 (tcp.allowed_ports)"},
		{"192.0.2.7:7002", "192.0.2.7/32", config.UpstreamPod, ""},
		{"192.0.2.7:7001", "", config.UpstreamNodePort, ""},
		{"10.2.0.1:7001", "", config.UpstreamPod, ""},
		{"192.0.2.7:7500", "192.0.2.7/32", config.UpstreamPod, "leads back to HAProxy, which listens on 0.0.0.0:7500 (tcp.service)"},
		{"192.0.2.7:1024", "192.0.2.7/32", config.UpstreamPod, "leads back to HAProxy, which listens on 192.0.2.7:1024 (peers.nodes)"},
		{"192.0.2.7:8501", "192.0.2.7/32", config.UpstreamPod, "leads back to HAProxy, which listens on 0.0.0.0:8500-8502 (/etc/haproxy/haproxy.cfg)"},
		{"[::ffff:192.0.2.7]:8501", "::/0 ::ffff:192.0.2.7/128", config.UpstreamPod, "leads back to HAProxy, which listens on 0.0.0.0:8500-8502 (/etc/haproxy/haproxy.cfg)"},
		{"192.0.2.7:8503", "192.0.2.7/32", config.UpstreamPod, ""},
		{"127.0.0.1:9999", "127.0.0.1/32", config.UpstreamPod, "leads back to HAProxy, which listens on 127.0.0.1:9999 (/etc/haproxy/haproxy.cfg)"},
		{"192.0.2.7:9999", "192.0.2.7/32", config.UpstreamPod, ""},
		{"192.0.2.1:6443", "", config.UpstreamPod, "is the address of the API server (safety.networks in podgate.toml can list 192.0.2.1/32)"},
		{"192.0.2.1:30080", "", config.UpstreamNodePort, ""},
		{"10.2.0.1:8080", "10.3.0.0/16", config.UpstreamPod, notInNetworks},
	} {
		cfg := config.Default()
		cfg.HTTPS.Binds = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:443")}
		cfg.Stats.Binds = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.2:8404")}
		cfg.TCP.AllowedPorts = []config.PortRange{{First: 7000, Last: 7001}}
		cfg.TCP.Services = []config.TCPService{{Namespace: "shop", Name: "db", Port: "5432", Listen: 7500}}
		cfg.Peers.Nodes = []haproxy.Peer{{Name: "edge-1", Addr: netip.MustParseAddrPort("192.0.2.7:1024")}}
		for _, n := range strings.Fields(row.networks) {
			cfg.Safety.Networks = append(cfg.Safety.Networks, netip.MustParsePrefix(n))
		}
		in := newInput(cfg, &Machine{
			Addresses:  []netip.Addr{netip.MustParseAddr("192.0.2.7")},
			APIServers: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
			Binds: []Bind{
				{"/etc/haproxy/haproxy.cfg", netip.IPv4Unspecified(), config.PortRange{First: 8500, Last: 8502}},
				{"/etc/haproxy/haproxy.cfg", netip.MustParseAddr("127.0.0.1"), config.PortRange{First: 9999, Last: 9999}},
			},
		}, nil)
		if got := in.whyNoServer(netip.MustParseAddrPort(row.addr), row.mode); got != row.want {
			t.Errorf("%s, %s, networks %s:\n got %q\nwant %q", row.addr, row.mode, row.networks, got, row.want)
		}
	}
}

// TestAReservedEndpointIsReportedAndExplained has one pod among endpoints without a
// pod, and a TCP port that leads to itself.
func TestAReservedEndpointIsReportedAndExplained(t *testing.T) {
	cfg := testConfig()
	cfg.Safety.Networks = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("192.0.2.7/32")}
	svc := &kubeapi.Service{
		Key: kubeapi.Key{Namespace: "shop", Name: "db"}, Type: "ClusterIP", Ports: []kubeapi.ServicePort{{Port: 5432}},
		Annotations: map[string]string{Prefix + "tcp": "5000"},
	}
	slice := &kubeapi.EndpointSlice{Key: kubeapi.Key{Namespace: "shop", Name: "db-1"}, Service: "db", AddressType: "IPv4", Ports: []kubeapi.EndpointPort{{Port: 5000}}}
	for _, a := range []string{"10.2.0.1", "127.0.0.1", "::ffff:127.0.0.2", "192.0.2.7"} {
		slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: netip.MustParseAddr(a), Ready: true})
	}
	snap := &kubeapi.Snapshot{Services: []*kubeapi.Service{svc}, Slices: kubeapi.SliceIndex{}.With(map[kubeapi.Key][]*kubeapi.EndpointSlice{svc.Key: {slice}})}
	r := Compile(cfg, &Machine{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7")}}, snap, nil)
	b, _ := r.State.Backend("shop_db_5432")
	if len(b.Servers) != 1 || b.Servers[0] != (haproxy.Server{Addr: netip.MustParseAddrPort("10.2.0.1:5000"), State: haproxy.Ready}) {
		t.Errorf("servers %v, want the one of the pod", b.Servers)
	}
	const want = "Service shop/db port 5432: 3 endpoints are not served: 127.0.0.1:5000 leads back to HAProxy, which listens on TCP port 5000\n"
	if got := problemLines(r.Problems); got != want {
		t.Errorf("Problems:\n%swant:\n%s", got, want)
	}
	x, _ := r.Explain(svc.Key)
	for _, e := range x.Ports[0].Endpoints {
		if want := "its address leads back to HAProxy, which listens on TCP port 5000"; e.Addr != "10.2.0.1:5000" && (e.Why != want || e.State != 0) {
			t.Errorf("endpoint %s: %q, state %s", e.Addr, e.Why, e.State)
		}
	}
}
