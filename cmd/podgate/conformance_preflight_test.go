//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// broken is a set-up that preflight has to see through.
type broken struct {
	name   string
	breaks func(t *testing.T) (repair func())
	config func(text string) string // podgate.toml; nil leaves it
	want   string                   // a part of the one line that says FAIL; "" for none
}

// preflight runs "podgate preflight" on the first edge, as the user that podgate
// is, over and over: each time one thing is broken, and that one is named.
func (s *edgesStory) preflight(t *testing.T) {
	g := s.gateways[0]
	token := s.cluster.Token(t, "podgate", "podgate")
	near := fmt.Sprintf("ip route add %s", podRoute(1))
	swap := func(old, text string) func(string) string {
		return func(config string) string { return strings.Replace(config, old, text, 1) }
	}
	other := func(name, content string) string {
		g.write(t, name, content)
		g.give(t, name)
		return g.file(name)
	}
	rows := []broken{
		{name: "nothing"},
		{
			name:   "no route",
			breaks: on(s.network.edges[0], "ip route del "+podRoute(1), "ip route add "+podRoute(1)),
			want:   "no route from here: dial tcp 10.244.2.",
		},
		{
			name: "a firewall drops", breaks: s.wall,
			want: "no answer within 2s: a firewall drops the packets, or nobody knows the way back (" + near + ", ",
		},
		{
			name:   "nobody knows the way back",
			breaks: on(s.network.nodes[1].machine, "ip route add blackhole "+edgeAddr(0)+"/32", "ip route del blackhole "+edgeAddr(0)+"/32"),
			want:   "no answer within 2s: a firewall drops the packets, or nobody knows the way back (" + near + ", ",
		},
		{
			name:   "wrong CA",
			config: swap(g.file("ca.crt"), other("other.crt", string(haproxytest.Certificate(t, "other")))),
			want:   "FAIL api: list services in namespace \"town\": verify the server's certificate: signed by an unknown authority (is ",
		},
		{
			name:   "expired token",
			config: swap(g.file("token"), other("expired", s.cluster.Expiring(t, token, time.Now().Add(-10*time.Minute)))),
			want:   "FAIL api: list services in namespace \"town\": 401 Unauthorized",
		},
		{
			name:   "a missing verb",
			config: swap(g.file("token"), other("blind", s.account(t, "blind", "services", "endpointslices/get,list", "nodes"))),
			want:   `FAIL api: watch endpointslices in namespace "town": 403 Forbidden`,
		},
		{
			name:   "a Secret that may not be read",
			breaks: s.askForSecret,
			config: swap("[tcp]\n", "[https]\nbind = [\":443\"]\n\n[tcp]\n"),
			want:   `FAIL api: get Secret town/web-tls, for Service town/web: read Secret town/web-tls: 403 Forbidden (a role in namespace town needs the rule `,
		},
		{
			name:   "socket rights",
			breaks: s.chmod(g, "admin.sock", 0o600, 0o660),
			want:   "FAIL sockets: haproxy.admin_socket: dial unix " + g.file("admin.sock") + ": connect: permission denied (its stats socket needs mode 660, ",
		},
		{
			name:   "port taken",
			breaks: func(t *testing.T) func() { l := g.machine.listen(t, "0.0.0.0:81"); return func() { l.Close() } },
			config: swap(`bind = [":80"]`, `bind = [":80", ":81"]`),
			want:   "address already in use (who has it: ss -ltnp 'sport = 81')",
		},
		{
			name:   "base configuration broken",
			config: swap(g.file("base.cfg"), other("broken.cfg", fmt.Sprintf(baseConfig, g.file("admin.sock"), g.id(), g.log.addr())+"\nbackend theirs\n    blance roundrobin\n")),
			want:   "FAIL base: haproxy -c: check configuration: haproxy -c refuses the operator's files: ",
		},
	}
	for _, row := range rows {
		if row.name == "socket rights" && !g.apart {
			t.Logf("    %-32s left out: podgate is the user that HAProxy is", row.name)
			continue
		}
		s.preflightOne(t, g, row)
	}
}

func (s *edgesStory) preflightOne(t *testing.T, g *gateway, row broken) {
	t.Helper()
	if row.breaks != nil {
		defer row.breaks(t)()
	}
	text := g.config() + byProxy
	if row.config != nil {
		changed := row.config(text)
		if changed == text {
			t.Fatalf("%s: podgate.toml is as it was", row.name)
		}
		text = changed
	}
	g.write(t, "preflight.toml", text)
	g.give(t, "preflight.toml")
	out, code := g.call("preflight", "--config", g.file("preflight.toml"))
	var fails []string
	right := 0
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "FAIL ") {
			fails = append(fails, strings.TrimSpace(line))
		} else {
			right++
		}
	}
	wantCode := 0
	if row.want != "" {
		wantCode = 1
	}
	first := "-"
	if len(fails) > 0 {
		first = fails[0]
	}
	t.Logf("    %-32s exit code %d, %2d right, %d wrong: %.150s", row.name, code, right, len(fails), first)
	if code != wantCode || (len(fails) == 0) != (row.want == "") || right == 0 {
		t.Errorf("%s: exit code %d, want %d:\n%s", row.name, code, wantCode, out)
	}
	for _, line := range fails {
		if !strings.Contains(line, row.want) {
			t.Errorf("%s: got %s, want %s", row.name, line, row.want)
		}
	}
}

// on is a break made and mended by a line of a shell on a machine.
func on(m *machine, breaks, mends string) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		t.Helper()
		m.run(t, breaks)
		return func() { m.run(t, mends) }
	}
}

// wall has the second node drop what it would forward to its pods: by nftables
// where they are, else by a route that swallows the packets.
func (s *edgesStory) wall(t *testing.T) func() {
	t.Helper()
	m := s.network.nodes[1].machine
	err := m.try("nft add table ip wall",
		"nft 'add chain ip wall forward { type filter hook forward priority 0; policy accept; }'",
		"nft add rule ip wall forward ip daddr "+podNetwork(1)+" drop")
	if err == nil {
		return func() { m.run(t, "nft delete table ip wall") }
	}
	t.Logf("    no nftables (%v): a route swallows the packets instead", err)
	return on(m, "ip route replace blackhole "+podNetwork(1), "ip route replace "+podNetwork(1)+" dev eth1")(t)
}

// chmod changes the mode of a file of an edge.
func (s *edgesStory) chmod(g *gateway, name string, breaks, mends os.FileMode) func(t *testing.T) func() {
	set := func(t *testing.T, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(g.file(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return func(t *testing.T) func() {
		set(t, breaks)
		return func() { set(t, mends) }
	}
}

// account makes a ServiceAccount that may get, list and watch these resources, or
// do with one what stands behind its slash, and returns its token.
func (s *edgesStory) account(t *testing.T, name string, resources ...string) string {
	t.Helper()
	var rules []realapi.Object
	for _, resource := range resources {
		resource, verbs, found := strings.Cut(resource, "/")
		if !found {
			verbs = "get,list,watch"
		}
		rules = append(rules, realapi.Object{
			"apiGroups": []string{"", "discovery.k8s.io"}, "resources": []string{resource}, "verbs": strings.Split(verbs, ","),
		})
	}
	meta := realapi.Object{"name": name}
	roles := "/apis/rbac.authorization.k8s.io/v1/"
	for _, o := range []struct {
		collection string
		object     realapi.Object
	}{
		{"/api/v1/namespaces/podgate/serviceaccounts", realapi.Object{"metadata": meta}},
		{roles + "clusterroles", realapi.Object{"metadata": meta, "rules": rules}},
		{roles + "clusterrolebindings", realapi.Object{"metadata": meta,
			"roleRef":  realapi.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
			"subjects": []realapi.Object{{"kind": "ServiceAccount", "name": name, "namespace": "podgate"}}}},
	} {
		if err := s.cluster.Admin.Create(t.Context(), o.collection, o.object); err != nil {
			t.Fatal(err)
		}
	}
	token := s.cluster.Token(t, "podgate", name)
	s.cluster.As(t, token).Await(t, "/api/v1/namespaces/"+townNamespace+"/services", http.StatusOK)
	return token
}

// askForSecret has a Service ask for a certificate from a Secret, which no role
// of podgate's lets it read.
func (s *edgesStory) askForSecret(t *testing.T) func() {
	t.Helper()
	patch := func(annotations realapi.Object) {
		t.Helper()
		err := s.cluster.Admin.Do(t.Context(), http.MethodPatch, "/api/v1/namespaces/"+townNamespace+"/services/web", realapi.MergePatch,
			realapi.Object{"metadata": realapi.Object{"annotations": annotations}}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	const prefix = "serviceloadbalancer/lb."
	patch(realapi.Object{prefix + "tls-secret": "web-tls", prefix + "sslTerm": "true", prefix + "host": "web.example.com"})
	return func() {
		patch(realapi.Object{prefix + "tls-secret": nil, prefix + "sslTerm": nil, prefix + "host": nil})
	}
}
