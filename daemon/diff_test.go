// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/config"
	"podgate/daemon/dryrun"
	"podgate/daemon/edgetest"
)

// differences returns the output of podgate diff, a line each.
func (e *edge) differences(t *testing.T) []string {
	t.Helper()
	c, err := config.Load(e.TOML)
	must(t, err)
	differences, err := dryrun.Diff(t.Context(), c, "test", nil)
	must(t, err)
	lines := []string{}
	for _, d := range differences {
		lines = append(lines, d.String())
	}
	return lines
}

func (e *edge) awaitNoDifference(t *testing.T) {
	t.Helper()
	eventually(t, "no difference", func() error {
		if got := e.differences(t); len(got) > 0 {
			return fmt.Errorf("%s", strings.Join(got, "\n"))
		}
		return nil
	})
}

func TestDiffNamesHowEachDifferenceIsRepaired(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	one, two := newPod(t, "one"), newPod(t, "two")
	e.service(t, "cart", nil, one)
	e.service(t, "gone", nil)
	if diff := cmp.Diff([]string{"process reload: HAProxy has not loaded podgate's configuration yet"}, e.processDifferences(t)); diff != "" {
		t.Errorf("before podgate first ran (-want +got):\n%s", diff)
	}
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 one /")
	e.Cluster.Delete("Service", "shop", "gone") // its backend stays in the file, without servers, until the next reload
	e.awaitAnswer(t, "any", "/gone/", notFound)
	e.awaitNoDifference(t)
	e.stop(t)

	e.service(t, "cart", map[string]string{"path": "/basket"}, two)
	e.service(t, "new", nil)
	want := []string{
		"process runtime: add backend shop_new_80",
		"process runtime: add shop_cart_80/" + two.Addr.String() + " ready",
		"process runtime: set shop_cart_80/" + one.Addr.String() + " maint",
		"process runtime: delete shop_cart_80/" + one.Addr.String() + " maint",
		"process runtime: map routes: - */cart/ shop_cart_80|5|/cart",
		"process runtime: map routes: + */basket/ shop_cart_80|7",
		"process runtime: map routes: + */new/ shop_new_80|4|/new",
		"file write: backend shop_cart_80: - server " + one.Addr.String(),
		"file write: backend shop_cart_80: + server " + two.Addr.String(),
		"file write: backend shop_new_80: + from podgate-http-roundrobin",
		"file write: routes.map: - */cart/ shop_cart_80|5|/cart",
		"file write: routes.map: + */basket/ shop_cart_80|7",
		"file write: routes.map: + */new/ shop_new_80|4|/new",
	}
	got := e.differences(t)
	for i, line := range got {
		if i < len(want) && strings.HasPrefix(line, want[i]) { // server lines have more words
			got[i] = want[i]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	e.start(t)
	e.awaitAnswer(t, "any", "/basket/", "200 two /basket/")
	eventually(t, "the old server is deleted and the Service new is loaded", func() error {
		for _, line := range e.differences(t) {
			if !strings.HasPrefix(line, "process runtime: delete ") { // when its idle connections are closed
				return fmt.Errorf("%s", line)
			}
		}
		return nil
	})
}

// processDifferences returns the differences of the process.
func (e *edge) processDifferences(t *testing.T) (lines []string) {
	t.Helper()
	for _, line := range e.differences(t) {
		if strings.HasPrefix(line, "process ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestRenderAndDiffKnowTheAPIServerOfAKubeconfig has a Service whose endpoint is the
// machine of the API server, which only the connection to the API server shows.
func TestRenderAndDiffKnowTheAPIServerOfAKubeconfig(t *testing.T) {
	t.Parallel()
	addr := ordinaryAddr(t)
	e := newEdge(t)
	server := httptest.NewUnstartedServer(e.Cluster)
	listener, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
	must(t, err)
	must(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections() // the watches of podgate
		server.Close()
	})
	kubeconfig := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n"+
		"clusters: [{name: x, cluster: {server: %q}}]\nusers: [{name: x, user: {}}]\n", server.URL)
	must(t, os.WriteFile(kubeconfig, []byte(text), 0o600))
	e.Set("kubernetes.server", nil)
	e.set(t, "kubernetes.kubeconfig", kubeconfig)
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	e.service(t, "api", nil)
	must(t, e.Cluster.SetEndpoints("api", edgetest.ReadyAt(netip.AddrPortFrom(addr, 6443))...))
	const want = "is the address of the API server"
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.awaitLog(t, want)
	e.awaitNoDifference(t)
	c, err := config.Load(e.TOML)
	must(t, err)
	var files, problems strings.Builder
	must(t, dryrun.Render(t.Context(), c, "test", nil, &files, &problems))
	if !strings.Contains(problems.String(), want) || strings.Contains(files.String(), addr.String()+":6443") {
		t.Errorf("render reports %q", problems.String())
	}
	e.stop(t)
}

// ordinaryAddr returns an IPv4 address of this machine that is not a loopback address.
func ordinaryAddr(t *testing.T) netip.Addr {
	t.Helper()
	all, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr()
		}
	}
	t.Skip("this machine has loopback addresses only")
	return netip.Addr{}
}
