// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/edgetest"
	"podgate/haproxy/runtime"
)

// Each test below is one event that an edge meets while clients of all kinds send
// requests. No request fails, and only the reloads that the test names happen.

// newLoadedEdge starts podgate with two Services under load, cart and shop.
func newLoadedEdge(t *testing.T) (*edge, load) {
	e := newEdge(t)
	return e, e.startLoaded(t)
}

func (e *edge) startLoaded(t *testing.T) load {
	e.service(t, "cart", nil, newPod(t, "cart-0"), newPod(t, "cart-1"))
	e.service(t, "shop", nil, newPod(t, "shop-0"), newPod(t, "shop-1"))
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.awaitAnswer(t, "any", "/shop/", "200 shop-0 /")
	awaitThat(t, "the pass with the first reload has ended", func() bool { return len(e.Reloads()) > 0 })
	return e.startLoad(t, "/cart/a", "/shop/b")
}

func TestTwentyReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	e.set(t, "haproxy.reload_interval", "0s") // the namespace causes reload after reload
	for n := range 20 {
		name := fmt.Sprintf("new-%d", n)
		e.serviceWithReload(t, name, newPod(t, name))
		e.awaitAnswer(t, "any", "/"+name+"/", "200 "+name+" /")
	}
	l.check(t)
	if got := len(e.Reloads()); got < 20 {
		t.Errorf("%d reloads, want at least 20: the load met fewer reloads than it should", got)
	}
}

func TestABurstOfServicesIsOneReload(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.Set("haproxy.reload_interval", 3*time.Second) // writing a burst may take a while here
	e.configure(t, "")
	l := e.startLoaded(t)
	before := len(e.Reloads())
	p := newPod(t, "burst")
	for n := range 50 {
		e.service(t, fmt.Sprintf("burst-%d", n), nil, p)
	}
	for n := range 50 {
		e.awaitAnswer(t, "any", fmt.Sprintf("/burst-%d/", n), "200 burst /")
	}
	l.check(t)
	if got := len(e.Reloads()) - before; got > 2 {
		t.Errorf("%d reloads: %q", got, e.Reloads())
	}
}

func TestHostsAndPathsChangeUnderLoad(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	p := newPod(t, "much")
	e.service(t, "much", map[string]string{"host": "a.test"}, p)
	e.awaitAnswer(t, "a.test", "/x", "200 much /x")
	before := e.HAProxy.Pid()
	for n := range 100 {
		e.service(t, "much", map[string]string{"host": fmt.Sprintf("h%d.test", n), "path": "/p", "timeout-server": fmt.Sprintf("%ds", n+1)}, p)
		e.service(t, "much", map[string]string{"host": fmt.Sprintf("h%d.test", n), "path": fmt.Sprintf("/p%d", n), "rewrite": "/new"}, p)
	}
	e.awaitAnswer(t, "h99.test", "/p99/x", "200 much /new/x")
	e.awaitAnswer(t, "a.test", "/x", notFound)
	l.check(t)
	e.checkPid(t, before)
}

// TestAThousandEndpointChangesUnderLoad changes the pods of a Service a thousand times,
// faster than podgate's passes, under short, persistent, slow and upgraded connections.
func TestAThousandEndpointChangesUnderLoad(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	before := e.HAProxy.Pid()
	conn := upgrade(t, e.HTTP, "/cart/upgrade")
	echo(t, conn, "before")
	var pool []*edgetest.Pod
	for n := range 6 {
		pool = append(pool, newPod(t, fmt.Sprintf("cart-%d", n+2)))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 1000 {
		random.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
		e.endpoints(t, "cart", pool[:1+random.IntN(3)]...)
		if n%100 == 99 {
			e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
		}
	}
	echo(t, conn, "through a server that was removed")
	l.check(t)
	e.checkPid(t, before)
}

func TestReadinessFlapsUnderLoad(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	before := e.HAProxy.Pid()
	steady, flapping := newPod(t, "cart-2"), newPod(t, "cart-3")
	e.endpoints(t, "cart", steady, flapping)
	for n := range 100 {
		flaps := edgetest.Ready(steady, flapping)
		flaps[1].Ready, flaps[1].Serving = n%2 == 1, n%2 == 1
		must(t, e.Cluster.SetEndpoints("cart", flaps...))
		edgetest.Pause(t.Context(), 2*time.Millisecond) // some flaps are shorter than a pass of podgate, some are longer
	}
	e.awaitServers(t, "shop_cart_80", steady, flapping)
	l.check(t)
	e.checkPid(t, before)
}

func TestScaleToZeroAndBackLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	e.service(t, "shop", nil, newPod(t, "shop-0"))
	e.start(t)
	e.awaitAnswer(t, "any", "/shop/", "200 shop-0 /")
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	before := e.HAProxy.Pid()
	l := e.startLoad(t, "/cart/a")
	for n := range 5 {
		e.endpoints(t, "shop")
		e.awaitServers(t, "shop_shop_80")
		p := newPod(t, fmt.Sprintf("shop-%d", n+1))
		e.endpoints(t, "shop", p)
		e.awaitAnswer(t, "any", "/shop/", "200 "+p.Name+" /")
	}
	l.check(t)
	e.checkPid(t, before)
}

func TestAReloadByAnotherProgram(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	before, err := e.Runtime.Process(t.Context())
	must(t, err)
	other := runtime.New(e.HAProxy.Admin, e.HAProxy.Master, e.HAProxy.Folder)
	for n := range 3 {
		p := newPod(t, fmt.Sprintf("cart-%d", n+2))
		e.endpoints(t, "cart", p) // the file may lack it at the reload
		if _, err := other.Reload(t.Context(), before.Generation); err != nil {
			t.Fatal(err)
		}
		e.awaitServers(t, "shop_cart_80", p)
	}
	l.check(t)
	e.checkOneReload(t)
}

func TestALongConnectionOutlivesItsServerAReloadAndPodgate(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	tcp := e.freeAddr(t)
	e.Set("tcp.addresses", []string{tcp.Addr().String()})
	e.set(t, "tcp.allowed_ports", []int{int(tcp.Port())})
	l := e.startLoaded(t)
	e.service(t, "socket", nil, newPod(t, "socket-0"))
	e.service(t, "stream", map[string]string{"tcp": fmt.Sprint(tcp.Port())}, newPod(t, "stream-0"))
	e.awaitAnswer(t, "any", "/socket/", "200 socket-0 /")
	e.awaitServers(t, "shop_stream_80", e.pods["stream"]...)
	conns := []upgraded{upgrade(t, e.HTTP, "/socket/upgrade"), upgrade(t, tcp, "/")}
	echoes := func(when string) {
		t.Helper()
		for _, conn := range conns {
			echo(t, conn, when)
		}
	}
	echoes("before")
	e.endpoints(t, "socket", newPod(t, "socket-1")) // their pods are replaced
	e.endpoints(t, "stream", newPod(t, "stream-1"))
	e.awaitAnswer(t, "any", "/socket/", "200 socket-1 /")
	e.awaitServers(t, "shop_stream_80", e.pods["stream"]...)
	echoes("through a server that was removed")
	e.serviceWithReload(t, "more", newPod(t, "more-0"))
	e.awaitAnswer(t, "any", "/more/", "200 more-0 /")
	echoes("through an old worker")
	e.stop(t)
	echoes("without podgate")
	l.check(t)
}

// requestPersistent requests a path over a persistent connection, and returns a function
// that repeats the request over the same connection. The name of the pod that answers
// must be pod, or begin with pod and "-".
func (e *edge) requestPersistent(t *testing.T, path, pod string) (again func(pod string) error) {
	t.Helper()
	kept := &edgetest.Client{KeepAlive: true}
	t.Cleanup(kept.Close)
	again = func(pod string) error {
		a, err := kept.Do(edgetest.Request{Addr: e.HTTP, Path: path})
		if got := a.Header.Get(edgetest.PodHeader); err == nil && got != pod && !strings.HasPrefix(got, pod+"-") {
			err = fmt.Errorf("status %d from pod %q", a.Status, got)
		}
		return err
	}
	must(t, again(pod))
	return again
}

// reloadNow makes podgate reload HAProxy, by a Service that needs a reload.
func (e *edge) reloadNow(t *testing.T) {
	t.Helper()
	before := e.HAProxy.Pid()
	e.serviceWithReload(t, "more", newPod(t, "more-0"))
	e.awaitAnswer(t, "any", "/more/", "200 more-0 /")
	if e.HAProxy.Pid() == before {
		t.Fatal("HAProxy was not reloaded")
	}
}

func TestAnIdleClientOutlivesAReloadAndItsPod(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	only := newPod(t, "only-0")
	e.service(t, "only", nil, only)
	e.awaitAnswer(t, "any", "/only/", "200 only-0 /")
	again := e.requestPersistent(t, "/only/", "only")
	e.reloadNow(t)
	next := newPod(t, "only-1")
	e.endpoints(t, "only", next)
	e.awaitServers(t, "shop_only_80", next)
	only.Close()
	if err := again("only-1"); err != nil {
		t.Errorf("on the connection to the old worker: %v", err)
	}
	l.check(t)
}

// TestAnIdleClientOutlivesALossOfFiles removes podgate's files, with the relay secret
// of the old worker, while podgate is stopped.
func TestAnIdleClientOutlivesALossOfFiles(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	e.service(t, "only", nil, newPod(t, "only-0"))
	e.awaitAnswer(t, "any", "/only/", "200 only-0 /")
	again := e.requestPersistent(t, "/only/", "only")
	e.stop(t)
	for _, name := range []string{"podgate.secret", "podgate.cfg", "podgate.loaded.json"} {
		must(t, os.Remove(filepath.Join(e.HAProxy.Folder, name)))
	}
	e.start(t)
	e.reloadNow(t)
	if err := again("only"); err != nil {
		t.Errorf("on the connection to the old worker: %v", err)
	}
	l.check(t)
}

func TestHealthAndDrainSurviveAReload(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	dead, draining := newPod(t, "cart-0"), newPod(t, "cart-1")
	e.configure(t, "[defaults]\ncheck_interval = \"100ms\"\n")
	e.service(t, "cart", nil, dead, draining, newPod(t, "cart-2"))
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-2 /")
	dead.Close()
	must(t, e.Cluster.SetEndpoints("cart", append(edgetest.Terminating(draining), edgetest.Ready(dead, e.pods["cart"][2])...)...))
	want := map[string]string{dead.Name: "0 0", draining.Name: "2 8", "cart-2": "2 0"} // srv_op_state srv_admin_state
	states := func() error {
		got := map[string]string{}
		for _, row := range strings.Split(e.command(t, "show servers state shop_cart_80"), "\n") {
			fields := strings.Fields(row)
			for _, p := range e.pods["cart"] {
				if len(fields) > 6 && fields[3] == p.Addr.String() {
					got[p.Name] = fields[5] + " " + fields[6]
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	}
	eventually(t, "cart-0 is down and cart-1 drains", states)
	before := e.HAProxy.Pid()
	e.serviceWithReload(t, "more", newPod(t, "more-0"))
	awaitThat(t, "HAProxy is reloaded", func() bool { return e.HAProxy.Pid() != before })
	if err := states(); err != nil {
		t.Errorf("immediately after the reload: %v", err)
	}
	eventually(t, "the file of server states has only these two servers", func() error {
		return e.checkStateFile(map[string]string{dead.Addr.String(): "0 0", draining.Addr.String(): "2 8"})
	})
}

func TestTheMasterReplacesADeadAdminSocket(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	must(t, os.Remove(e.HAProxy.Admin))
	p := newPod(t, "cart-2")
	e.endpoints(t, "cart", p)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-2 /")
	e.awaitLog(t, "admin socket is dead, HAProxy is reached through its master")
	e.serviceWithReload(t, "more", newPod(t, "more-0"))
	e.awaitAnswer(t, "any", "/more/", "200 more-0 /")
	l.check(t)
	if n := strings.Count(e.Log.String(), "admin socket is dead"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

func TestReloadsWorkWithoutARelayWhosePortIsTaken(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	listener, err := net.Listen("tcp", e.Relay.String())
	must(t, err)
	defer listener.Close()
	e.serveCart(t)
	e.serviceWithReload(t, "new", newPod(t, "new-0"))
	e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
	e.awaitLog(t, "http.relay is not used")
	if n := strings.Count(e.Log.String(), "http.relay is not used"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, e.Log)
	}
}

// upgraded is a connection that was switched to another protocol by an HTTP request, as
// WebSockets are.
type upgraded struct {
	net.Conn
	lines *bufio.Reader
}

func upgrade(t *testing.T, addr netip.AddrPort, path string) upgraded {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: any\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", path)
	lines := bufio.NewReader(conn)
	resp, err := http.ReadResponse(lines, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", resp, err)
	}
	return upgraded{conn, lines}
}

// echo sends a line and expects it back.
func echo(t *testing.T, conn upgraded, text string) {
	t.Helper()
	fmt.Fprintln(conn, text)
	if got, err := conn.lines.ReadString('\n'); err != nil || strings.TrimSpace(got) != text {
		t.Errorf("%s: got %q, %v", text, got, err)
	}
}
