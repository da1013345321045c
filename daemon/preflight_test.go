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

	"podgate/daemon/config"
	"podgate/daemon/edgetest"
	"podgate/daemon/preflight"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// preflight returns the failed checks of podgate preflight, a line each, and the number of
// checks that passed.
func (e *edge) preflight(t *testing.T) (failed []string, passed int) {
	t.Helper()
	c, err := config.Load(e.TOML)
	must(t, err)
	for _, f := range preflight.Run(t.Context(), c, "test") {
		if !slices.Contains(preflight.Checks(), f.Check) {
			t.Errorf("%q is not one of Checks", f.Check)
		}
		if f.OK {
			passed++
		} else {
			failed = append(failed, f.String())
		}
	}
	return failed, passed
}

// replace replaces a text of podgate.toml.
func (e *edge) replace(t *testing.T, old, text string) {
	t.Helper()
	written, err := os.ReadFile(e.TOML)
	if err != nil || !strings.Contains(string(written), old) {
		t.Fatalf("no %q in podgate.toml: %v", old, err)
	}
	must(t, os.WriteFile(e.TOML, []byte(strings.Replace(string(written), old, text, 1)), 0o600))
}

func TestPreflightNamesWhatIsBroken(t *testing.T) {
	t.Parallel()
	hostname, err := os.Hostname()
	must(t, err)
	for _, row := range []struct {
		name   string
		breaks func(t *testing.T, e *edge)
		want   []string // a part of each line, in their order
	}{
		{"nothing", func(*testing.T, *edge) {}, nil},
		{"nothing while podgate runs", func(t *testing.T, e *edge) {
			e.serveCart(t)
			e.awaitReloads(t)
		}, nil},
		{"a pod that refuses connections is reachable", func(t *testing.T, e *edge) {
			e.service(t, "dead", nil, &edgetest.Pod{Addr: netip.MustParseAddrPort("127.77.255.254:9"), Name: "dead"})
		}, nil},
		{"wrong CA", func(t *testing.T, e *edge) {
			e.Cluster.Stop()
			must(t, e.Cluster.StartTLS(""))
			other := kubeapitest.New()
			must(t, other.StartTLS(""))
			t.Cleanup(other.Stop)
			ca := filepath.Join(t.TempDir(), "ca.crt")
			must(t, os.WriteFile(ca, other.CertificatePEM(), 0o600))
			e.Set("kubernetes.server", e.Cluster.URL())
			e.set(t, "kubernetes.ca_file", ca)
		}, []string{"FAIL api: list services in namespace \"shop\": verify the server's certificate: signed by an unknown authority (is "}},
		{"expired token", func(t *testing.T, e *edge) {
			e.Cluster.Misbehave(kubeapitest.RequireToken("a newer one"))
		}, []string{"FAIL api: list services in namespace \"shop\": 401 Unauthorized"}},
		{"a missing verb", func(t *testing.T, e *edge) {
			e.Cluster.Misbehave(kubeapitest.Forbid("watch", "endpointslices", "shop"))
		}, []string{`FAIL api: watch endpointslices in namespace "shop": 403 Forbidden`}},
		{"an API server that is down", func(t *testing.T, e *edge) { e.Cluster.Stop() }, []string{"FAIL api: list services in namespace \"shop\": "}},
		{"socket permissions", func(t *testing.T, e *edge) {
			if os.Geteuid() == 0 {
				e.replace(t, "master.sock", "no-master.sock") // root may do anything
			} else if err := os.Chmod(e.HAProxy.Master, 0); err != nil {
				t.Fatal(err)
			}
		}, []string{"(its unit needs -S SOCKET,mode,660,group,haproxy: podgate setup haproxy)"}},
		{"a missing socket is reported once", func(t *testing.T, e *edge) {
			e.replace(t, "admin.sock", "no-admin.sock")
		}, []string{"(its stats socket needs mode 660, level admin and group haproxy, and podgate that group)"}},
		{"a folder that cannot be written", func(t *testing.T, e *edge) {
			e.replace(t, fmt.Sprintf("folder = %q", e.HAProxy.Folder), `folder = "/proc/podgate"`)
		}, []string{"FAIL folder: write to /proc/podgate: "}},
		{"port taken", func(t *testing.T, e *edge) {
			l, err := net.Listen("tcp", e.HTTP.String())
			must(t, err)
			t.Cleanup(func() { l.Close() })
		}, []string{"address already in use (to see the process: ss -ltnp"}},
		{"base configuration broken", func(t *testing.T, e *edge) {
			base, err := os.ReadFile(e.HAProxy.Base)
			must(t, err)
			must(t, os.WriteFile(e.HAProxy.Base, append(base, "\nbackend theirs\n  blance roundrobin\n"...), 0o600))
		}, []string{"FAIL base: haproxy -c: check configuration: haproxy -c rejects the operator's files: "}},
		{"settings of the operator that podgate cannot work with", func(t *testing.T, e *edge) {
			base, err := os.ReadFile(e.HAProxy.Base)
			must(t, err)
			must(t, os.WriteFile(e.HAProxy.Base, append(base, "\nglobal\n  stats maxconn 1\n  tune.vars.txn-max-size 400\n"...), 0o600))
		}, []string{
			": stats maxconn 1: podgate waits for connections to the stats socket (podgate needs 4)",
			": tune.vars.txn-max-size 400: HAProxy cannot route requests whose variables are larger, and answers 404 (remove the line, or write at least 131072)",
		}},
		{"certificates that cannot be served", func(t *testing.T, e *edge) {
			ends := e.withTLS(t)
			ends.certify(t, "good.pem", "good.test")
			crt, _ := split(haproxytest.Certificate(t, "lone.test"))
			ends.put(t, "lone.pem", crt)
			ends.setHTTPS(t, `client_ca = "/nonexistent/ca.pem"`)
		}, []string{
			"FAIL certificates: /nonexistent/ca.pem: does not exist; frontends and ports that require these CA certificates are not served",
			"/lone.pem: holds no private key in PEM; it is not served",
		}},
		{"a HAProxy that is not one of its peers", func(t *testing.T, e *edge) {
			e.rename(t, "edge3")
			e.configure(t, "[peers]\nnodes = [\"edge1=127.0.0.1:10024\", \"edge2=127.0.0.2:10024\"]\n")
		}, []string{`FAIL peers: HAProxy in peers.nodes: "edge3" is not one of edge1, edge2; stick tables are not shared (write "edge3=ADDRESS:PORT" into peers.nodes of every node, or give HAProxy one of its names by -L)`}},
		{"a host that is not one of the peers, and a HAProxy that does not answer", func(t *testing.T, e *edge) {
			e.configure(t, "[peers]\nnodes = [\"edge1.of-many=127.0.0.1:10024\"]\n")
			e.replace(t, "admin.sock", "no-admin.sock")
			e.replace(t, "master.sock", "no-master.sock")
		}, []string{"FAIL sockets: haproxy.admin_socket", "FAIL sockets: haproxy.master_socket", "FAIL peers: this host in peers.nodes: \"" + hostname + "\" is not one of edge1.of-many; "}},
		{"nothing if HAProxy has another name than its host", func(t *testing.T, e *edge) {
			e.rename(t, "edge1")
			e.configure(t, fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\"]\n", e.freeAddr(t)))
		}, nil},
		{"its peer address is taken", func(t *testing.T, e *edge) {
			e.rename(t, "edge1")
			e.configure(t, fmt.Sprintf("[peers]\nnodes = [\"edge1=%s\"]\n", e.listen(t)))
		}, []string{" for peers: listen tcp4 "}},
		{"the port of a TCP Service taken", func(t *testing.T, e *edge) {
			taken := e.listen(t)
			e.configure(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]\n", taken.Addr(), taken.Port()))
			e.service(t, "db", map[string]string{"tcp": fmt.Sprint(taken.Port())}, newPod(t, "db-0"))
		}, []string{", Service shop/db port web: listen tcp4 "}},
		{"TLS port taken, with client certificates", func(t *testing.T, e *edge) {
			ends := e.withTLS(t)
			ca := filepath.Join(ends.folder, "ca.txt")
			crt, _ := split(haproxytest.Certificate(t, "authority"))
			must(t, os.WriteFile(ca, crt, 0o600))
			l, err := net.Listen("tcp", ends.https.String())
			must(t, err)
			t.Cleanup(func() { l.Close() })
			ends.certify(t, "good.pem", "good.test")
			ends.setHTTPS(t, fmt.Sprintf("client_ca = %q", ca))
		}, []string{"for podgate_https: "}},
		{"two problems are both reported", func(t *testing.T, e *edge) {
			e.Cluster.Misbehave(kubeapitest.Forbid("watch", "services", "shop"), kubeapitest.Forbid("watch", "endpointslices", "shop"))
			e.replace(t, "master.sock", "no-master.sock")
		}, []string{"FAIL api: watch services", "FAIL api: watch endpointslices", "FAIL sockets: haproxy.master_socket"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			e.service(t, "cart", nil, newPod(t, "cart-0"))
			row.breaks(t, e)
			failed, passed := e.preflight(t)
			if len(failed) != len(row.want) || passed < 1 || len(failed) == 0 && passed < 8 {
				t.Fatalf("failed %q, passed %d", failed, passed)
			}
			for i, want := range row.want {
				if !strings.Contains(failed[i], want) {
					t.Errorf("got %s, want %s", failed[i], want)
				}
			}
		})
	}
}

func TestPreflightReadsTheSecretsThatServicesName(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	for _, name := range []string{"cart", "till"} {
		e.service(t, name, map[string]string{"host": name + ".shop.test", "sslTerm": "true", "tls-secret": "shop-tls"}, newPod(t, name))
	}
	e.service(t, "plain", nil, newPod(t, "plain"))
	if failed, _ := e.preflight(t); len(failed) > 0 {
		t.Errorf("a Secret that does not exist: %q", failed)
	}
	e.Cluster.Misbehave(kubeapitest.Forbid("get", "secrets", "shop"))
	failed, _ := e.preflight(t)
	want := `FAIL api: get Secret shop/shop-tls, for Service shop/cart: read Secret shop/shop-tls: 403 Forbidden (a role in namespace shop needs the rule {apiGroups: [""], resources: [secrets], resourceNames: [shop-tls], verbs: [get]})`
	if !slices.Equal(failed, []string{want}) {
		t.Errorf("got %q, want %q", failed, want)
	}
}

// TestPreflightDistinguishesAFirewallFromAMissingRoute runs in a network namespace of its
// own. A link to one node drops all packets, and there is no link to the other node.
func TestPreflightDistinguishesAFirewallFromAMissingRoute(t *testing.T) {
	need(t, "ip", "iproute2")
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
	e := newEdge(t)
	nodes := []kubeapi.Node{
		{Name: "far", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, Ready: true, PodCIDRs: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/25")}},
		{Name: "walled", Addrs: []netip.Addr{netip.MustParseAddr("198.18.0.9")}, Ready: true},
	}
	for i, addr := range []string{"203.0.113.4", "198.18.0.2"} {
		must(t, e.Cluster.SetNode(nodes[i]))
		err := e.Cluster.SetSlice(kubeapi.EndpointSlice{
			Key: kubeapi.Key{Namespace: "shop", Name: "cart-" + nodes[i].Name}, Service: "cart",
			Ports:     []kubeapi.EndpointPort{{Name: "web", Port: 80}},
			Endpoints: []kubeapi.Endpoint{{Addr: netip.MustParseAddr(addr), Ready: true, Serving: true, Node: nodes[i].Name}},
		})
		must(t, err)
	}
	e.service(t, "cart", nil)
	failed, _ := e.preflight(t)
	want := []string{
		`FAIL pods: node far: 203.0.113.4:80: no route from this machine: dial tcp 203.0.113.4:80: connect: network is unreachable (ip route add 203.0.113.0/25 via 192.0.2.7, or upstream = "nodeport" if the pods' network is an overlay)`,
		`FAIL pods: node walled: 198.18.0.2:80: no answer within 2s: a firewall drops the packets, or there is no route back to this machine (ip route add 198.18.0.2/32 via 198.18.0.9, if its pods are routed by node, or upstream = "nodeport" if the pods' network is an overlay)`,
	}
	if !slices.Equal(failed, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(failed, "\n"), strings.Join(want, "\n"))
	}
}
