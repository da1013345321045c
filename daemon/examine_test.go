// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"podgate/daemon"
	"podgate/daemon/config"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// examine returns what is wrong with a town, a line each, and how much is right.
func (tw *town) examine() (wrong []string, right int) {
	tw.t.Helper()
	c, err := config.Load(tw.toml)
	if err != nil {
		tw.t.Fatal(err)
	}
	for _, f := range daemon.Examine(tw.t.Context(), c, "test") {
		if !slices.Contains(daemon.Checks(), f.Check) {
			tw.t.Errorf("%q is no check", f.Check)
		}
		if f.OK {
			right++
		} else {
			wrong = append(wrong, f.String())
		}
	}
	return wrong, right
}

// replace changes podgate.toml.
func (tw *town) replace(old, text string) {
	tw.t.Helper()
	written, err := os.ReadFile(tw.toml)
	if err != nil || !strings.Contains(string(written), old) {
		tw.t.Fatalf("no %q in podgate.toml: %v", old, err)
	}
	if err := os.WriteFile(tw.toml, []byte(strings.Replace(string(written), old, text, 1)), 0o600); err != nil {
		tw.t.Fatal(err)
	}
}

func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestExamineNamesWhatIsBroken(t *testing.T) {
	for _, row := range []struct {
		name   string
		breaks func(tw *town)
		want   []string // a part of each line, in their order
	}{
		{"nothing", func(*town) {}, nil},
		{"a pod that nobody listens in is reached", func(tw *town) {
			tw.service("dead", nil, &pod{addr: netip.MustParseAddrPort("127.77.255.254:9"), name: "dead"})
		}, nil},
		{"wrong CA", func(tw *town) {
			tw.api.Stop()
			if err := tw.api.StartTLS(""); err != nil {
				tw.t.Fatal(err)
			}
			other := kubeapitest.New()
			if err := other.StartTLS(""); err != nil {
				tw.t.Fatal(err)
			}
			tw.t.Cleanup(other.Stop)
			ca := filepath.Join(tw.t.TempDir(), "ca.crt")
			if err := os.WriteFile(ca, other.CertificatePEM(), 0o600); err != nil {
				tw.t.Fatal(err)
			}
			tw.configure("")
			tw.replace("[kubernetes]\n", fmt.Sprintf("[kubernetes]\nca_file = %q\n", ca))
		}, []string{"FAIL api: list services in namespace \"shop\": verify the server's certificate: signed by an unknown authority (is "}},
		{"expired token", func(tw *town) {
			tw.api.Misbehave(kubeapitest.RequireToken("a newer one"))
		}, []string{"FAIL api: list services in namespace \"shop\": 401 Unauthorized"}},
		{"a missing verb", func(tw *town) {
			tw.api.Misbehave(kubeapitest.Forbid("watch", "endpointslices", "shop"))
		}, []string{`FAIL api: watch endpointslices in namespace "shop": 403 Forbidden`}},
		{"no API server", func(tw *town) { tw.api.Stop() }, []string{"FAIL api: list services in namespace \"shop\": "}},
		{"socket rights", func(tw *town) {
			if os.Geteuid() == 0 {
				tw.replace("master.sock", "no-master.sock") // root may do anything
			} else if err := os.Chmod(tw.haproxy.Master, 0); err != nil {
				tw.t.Fatal(err)
			}
		}, []string{"FAIL sockets: haproxy.master_socket: dial unix "}},
		{"a socket that is not there is told once", func(tw *town) {
			tw.replace("admin.sock", "no-admin.sock")
		}, []string{"FAIL sockets: haproxy.admin_socket: dial unix "}},
		{"a folder that cannot be written", func(tw *town) {
			tw.replace(fmt.Sprintf("folder = %q", tw.haproxy.Folder), `folder = "/proc/podgate"`)
		}, []string{"FAIL folder: write to /proc/podgate: "}},
		{"port taken", func(tw *town) {
			l, err := net.Listen("tcp", tw.http.String())
			if err != nil {
				tw.t.Fatal(err)
			}
			tw.t.Cleanup(func() { l.Close() })
		}, []string{"address already in use (who has it: ss -ltnp"}},
		{"base configuration broken", func(tw *town) {
			base, err := os.ReadFile(tw.haproxy.Base)
			if err != nil {
				tw.t.Fatal(err)
			}
			if err := os.WriteFile(tw.haproxy.Base, append(base, "\nbackend theirs\n  blance roundrobin\n"...), 0o600); err != nil {
				tw.t.Fatal(err)
			}
		}, []string{"FAIL base: haproxy -c: check configuration: haproxy -c refuses the operator's files: "}},
		{"certificates that cannot be served", func(tw *town) {
			edge := tw.ending()
			edge.certify("good.pem", "good.test")
			crt, _ := split(haproxytest.Certificate(tw.t, "lone.test"))
			edge.put("lone.pem", crt)
			edge.setHTTPS(`client_ca = "/nonexistent/ca.pem"`)
		}, []string{
			"FAIL certificates: /nonexistent/ca.pem: is not there; what needs these authorities is not served",
			"/lone.pem: holds no private key in PEM; it is not served",
		}},
		{"a HAProxy that is none of its peers", func(tw *town) {
			tw.rename("edge3")
			tw.configure("[peers]\nnodes = [\"edge1=127.0.0.1:10024\", \"edge2=127.0.0.2:10024\"]\n")
		}, []string{`FAIL peers: HAProxy in peers.nodes: "edge3" is none of edge1, edge2: HAProxy leaves the peers out and shares no table of clients (write "edge3=ADDRESS:PORT" into peers.nodes of every node, or give HAProxy one of its names by -L)`}},
		{"a host that is none of the peers, where HAProxy cannot be asked", func(tw *town) {
			tw.configure("[peers]\nnodes = [\"edge1.of-many=127.0.0.1:10024\"]\n")
			tw.replace("admin.sock", "no-admin.sock")
			tw.replace("master.sock", "no-master.sock")
		}, []string{"FAIL sockets: haproxy.admin_socket", "FAIL sockets: haproxy.master_socket", "FAIL peers: this host in peers.nodes: \"" + hostname(t) + "\" is none of edge1.of-many: "}},
		{"nothing where HAProxy goes by another name than its host", func(tw *town) {
			tw.rename("edge1")
			tw.configure(fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\"]\n", tw.freeAddr()))
		}, nil},
		{"its address among the peers is taken", func(tw *town) {
			tw.rename("edge1")
			tw.configure(fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\"]\n", tw.listen()))
		}, []string{" for peers: listen tcp4 "}},
		{"port of TLS taken, where clients are verified", func(tw *town) {
			edge := tw.ending()
			ca := filepath.Join(edge.folder, "ca.txt")
			crt, _ := split(haproxytest.Certificate(tw.t, "authority"))
			if err := os.WriteFile(ca, crt, 0o600); err != nil {
				tw.t.Fatal(err)
			}
			l, err := net.Listen("tcp", edge.https.String())
			if err != nil {
				tw.t.Fatal(err)
			}
			tw.t.Cleanup(func() { l.Close() })
			edge.certify("good.pem", "good.test")
			edge.setHTTPS(fmt.Sprintf("client_ca = %q", ca))
		}, []string{"for podgate_https: "}},
		{"two at once hide nothing", func(tw *town) {
			tw.api.Misbehave(kubeapitest.Forbid("watch", "services", "shop"), kubeapitest.Forbid("watch", "endpointslices", "shop"))
			tw.replace("master.sock", "no-master.sock")
		}, []string{"FAIL api: watch services", "FAIL api: watch endpointslices", "FAIL sockets: haproxy.master_socket"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			tw := newTown(t)
			tw.service("cart", nil, newPod(t, "cart-0"))
			row.breaks(tw)
			wrong, right := tw.examine()
			if len(wrong) != len(row.want) || right == 0 {
				t.Fatalf("wrong is %q, %d right", wrong, right)
			}
			for i, want := range row.want {
				if !strings.Contains(wrong[i], want) {
					t.Errorf("got %s, want %s", wrong[i], want)
				}
			}
		})
	}
}

func TestExamineReadsTheSecretsThatServicesName(t *testing.T) {
	tw := newTLSTown(t)
	for _, name := range []string{"cart", "till"} {
		tw.service(name, map[string]string{"host": name + ".shop.test", "sslTerm": "true", "tls-secret": "shop-tls"}, newPod(t, name))
	}
	tw.service("plain", nil, newPod(t, "plain"))
	if wrong, _ := tw.examine(); len(wrong) > 0 {
		t.Errorf("of a Secret that there is not: %q", wrong)
	}
	tw.api.Misbehave(kubeapitest.Forbid("get", "secrets", "shop"))
	wrong, _ := tw.examine()
	want := `FAIL api: get Secret shop/shop-tls, for Service shop/cart: read Secret shop/shop-tls: 403 Forbidden (a role in namespace shop needs the rule {apiGroups: [""], resources: [secrets], resourceNames: [shop-tls], verbs: [get]})`
	if !slices.Equal(wrong, []string{want}) {
		t.Errorf("got %q, want %q", wrong, want)
	}
}

func TestExamineFindsNothingWrongWithWhatRuns(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.awaitReloads()
	if wrong, right := tw.examine(); len(wrong) > 0 || right < 8 {
		t.Errorf("wrong is %q, %d right", wrong, right)
	}
}

// TestExamineTellsAFirewallFromNoRoute stands in a network of its own, where one
// node is behind a link that swallows everything and another behind none.
func TestExamineTellsAFirewallFromNoRoute(t *testing.T) {
	if !realapi.InNamespace(t) {
		return
	}
	for _, line := range []string{
		"ip link add edge type veth peer name wall",
		"ip link set edge up",
		"ip link set wall up",
		"ip addr add 198.18.0.1/24 dev edge",
		"ip neigh add 198.18.0.2 lladdr 02:00:00:00:00:02 dev edge",
	} {
		args := strings.Fields(line)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", line, err, out)
		}
	}
	tw := newTown(t)
	nodes := []kubeapi.Node{
		{Name: "far", Addr: netip.MustParseAddr("192.0.2.7"), Ready: true, PodCIDRs: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/25")}},
		{Name: "walled", Addr: netip.MustParseAddr("198.18.0.9"), Ready: true},
	}
	for i, addr := range []string{"203.0.113.4", "198.18.0.2"} {
		if err := tw.api.SetNode(nodes[i]); err != nil {
			t.Fatal(err)
		}
		err := tw.api.SetSlice(kubeapi.EndpointSlice{
			Key: kubeapi.Key{Namespace: "shop", Name: "cart-" + nodes[i].Name}, Service: "cart",
			Ports:     []kubeapi.EndpointPort{{Name: "web", Port: 80}},
			Endpoints: []kubeapi.Endpoint{{Addr: netip.MustParseAddr(addr), Ready: true, Serving: true, Node: nodes[i].Name}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	tw.service("cart", nil)
	wrong, _ := tw.examine()
	want := []string{
		`FAIL pods: node far: 203.0.113.4:80: no route from here: dial tcp 203.0.113.4:80: connect: network is unreachable (ip route add 203.0.113.0/25 via 192.0.2.7, or upstream = "nodeport" where the pods' network is an overlay)`,
		`FAIL pods: node walled: 198.18.0.2:80: no answer within 2s: a firewall drops the packets, or nobody knows the way back (ip route add 198.18.0.2/32 via 198.18.0.9, if its pods are routed by node, or upstream = "nodeport" where the pods' network is an overlay)`,
	}
	if !slices.Equal(wrong, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(wrong, "\n"), strings.Join(want, "\n"))
	}
}
