// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

// Each test below is one thing that happens to an edge while clients of all
// kinds go on. No request fails, and the reloads are those that it names.

// streets are a town with two Services under load, cart and shop.
func streets(t *testing.T) (*town, *load) {
	tw := newTown(t)
	return tw, tw.openStreets()
}

func (tw *town) openStreets() *load {
	t := tw.t
	tw.service("cart", nil, newPod(t, "cart-0"), newPod(t, "cart-1"))
	tw.service("shop", nil, newPod(t, "shop-0"), newPod(t, "shop-1"))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.awaitAnswer("any", "/shop/", "200 shop-0 /")
	eventually(t, "podgate has seen that its first reload is over", func() error {
		if len(tw.passes.reloads()) == 0 {
			return errors.New("it has not")
		}
		return nil
	})
	return tw.startLoad("/cart/a", "/shop/b")
}

func TestTwentyReloadsUnderLoad(t *testing.T) {
	tw, l := streets(t)
	for n := range 20 {
		name := fmt.Sprintf("new-%d", n)
		tw.reloading(name, newPod(t, name))
		tw.awaitAnswer("any", "/"+name+"/", "200 "+name+" /")
	}
	l.check(t)
	if got := len(tw.passes.reloads()); got < 20 {
		t.Errorf("%d reloads, want at least 20: the load has seen less than it should", got)
	}
}

func TestABurstOfServicesIsOneReload(t *testing.T) {
	tw := newTown(t)
	tw.reloads = 3 * time.Second // a burst may take a while to write here
	tw.configure("")
	l := tw.openStreets()
	before := len(tw.passes.reloads())
	p := newPod(t, "burst")
	for n := range 50 {
		tw.service(fmt.Sprintf("burst-%d", n), nil, p)
	}
	for n := range 50 {
		tw.awaitAnswer("any", fmt.Sprintf("/burst-%d/", n), "200 burst /")
	}
	l.check(t)
	if got := len(tw.passes.reloads()) - before; got > 2 {
		t.Errorf("%d reloads: %q", got, tw.passes.reloads())
	}
}

func TestHostsAndPathsChangeUnderLoad(t *testing.T) {
	tw, l := streets(t)
	p := newPod(t, "much")
	tw.service("much", map[string]string{"host": "a.test"}, p)
	tw.awaitAnswer("a.test", "/x", "200 much /x")
	before := tw.haproxy.Pid()
	for n := range 100 {
		tw.service("much", map[string]string{"host": fmt.Sprintf("h%d.test", n), "path": "/p", "timeout-server": fmt.Sprintf("%ds", n+1)}, p)
		tw.service("much", map[string]string{"host": fmt.Sprintf("h%d.test", n), "path": fmt.Sprintf("/p%d", n), "rewrite": "/new"}, p)
	}
	tw.awaitAnswer("h99.test", "/p99/x", "200 much /new/x")
	tw.awaitAnswer("a.test", "/x", notFound)
	l.check(t)
	if got := tw.haproxy.Pid(); got != before {
		t.Errorf("HAProxy was reloaded: %q", tw.passes.reloads())
	}
}

func TestReadinessFlapsUnderLoad(t *testing.T) {
	tw, l := streets(t)
	before := tw.haproxy.Pid()
	steady, flapping := newPod(t, "cart-2"), newPod(t, "cart-3")
	tw.endpoints("cart", steady, flapping)
	slice := kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "shop", Name: "cart-cart-3"}, Service: "cart", AddressType: "IPv4",
		Ports: []kubeapi.EndpointPort{{Name: "web", Protocol: "TCP", Port: flapping.addr.Port()}},
	}
	for n := range 100 {
		slice.Endpoints = []kubeapi.Endpoint{{Addr: flapping.addr.Addr(), Ready: n%2 == 1, Serving: n%2 == 1}}
		if err := tw.api.SetSlice(slice); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // flap faster and slower than podgate looks
	}
	tw.awaitServers("shop_cart_80", steady, flapping)
	l.check(t)
	if got := tw.haproxy.Pid(); got != before {
		t.Errorf("HAProxy was reloaded: %q", tw.passes.reloads())
	}
}

func TestScaleToZeroAndBackLeavesTheOthersAlone(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.service("shop", nil, newPod(t, "shop-0"))
	tw.start()
	tw.awaitAnswer("any", "/shop/", "200 shop-0 /")
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	before := tw.haproxy.Pid()
	l := tw.startLoad("/cart/a")
	for n := range 5 {
		tw.endpoints("shop")
		tw.awaitServers("shop_shop_80")
		p := newPod(t, fmt.Sprintf("shop-%d", n+1))
		tw.endpoints("shop", p)
		tw.awaitAnswer("any", "/shop/", "200 "+p.name+" /")
	}
	l.check(t)
	if got := tw.haproxy.Pid(); got != before {
		t.Errorf("HAProxy was reloaded: %q", tw.passes.reloads())
	}
}

func TestSomebodyElseReloadsHAProxy(t *testing.T) {
	tw, l := streets(t)
	before, err := tw.runtime.Process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := runtime.New(tw.haproxy.Admin, tw.haproxy.Master, tw.haproxy.Folder)
	for n := range 3 {
		p := newPod(t, fmt.Sprintf("cart-%d", n+2))
		tw.endpoints("cart", p) // the file may miss it at the reload
		if _, err := other.Reload(t.Context(), before.Generation); err != nil {
			t.Fatal(err)
		}
		tw.awaitServers("shop_cart_80", p)
	}
	l.check(t)
	if got := tw.passes.reloads(); len(got) != 1 {
		t.Errorf("podgate reloaded too: %q", got)
	}
}

func TestALongConnectionOutlivesEverything(t *testing.T) {
	tw, l := streets(t)
	p := newPod(t, "socket-0")
	tw.service("socket", nil, p)
	tw.awaitAnswer("any", "/socket/", "200 socket-0 /")
	conn := tw.upgrade(t, "/socket/upgrade")
	echo(t, conn, "before")
	tw.endpoints("socket", newPod(t, "socket-1")) // its pod leaves
	tw.awaitAnswer("any", "/socket/", "200 socket-1 /")
	echo(t, conn, "behind a server that left")
	tw.reloading("more", newPod(t, "more-0"))
	tw.awaitAnswer("any", "/more/", "200 more-0 /")
	echo(t, conn, "behind a worker that was retired")
	tw.stop()
	echo(t, conn, "without podgate")
	l.check(t)
}

// askKept asks for a path over a connection that is kept, and returns how to ask
// again over the same one.
func (tw *town) askKept(path, want string) (again func(want string) error) {
	tw.t.Helper()
	kept := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	tw.t.Cleanup(kept.CloseIdleConnections)
	again = func(want string) error { return ask(kept, "http://"+tw.http.String()+path, want) }
	if err := again(want); err != nil {
		tw.t.Fatal(err)
	}
	return again
}

// reloadNow has podgate reload HAProxy, by a Service that costs a reload.
func (tw *town) reloadNow() {
	tw.t.Helper()
	before := tw.haproxy.Pid()
	tw.reloading("more", newPod(tw.t, "more-0"))
	tw.awaitAnswer("any", "/more/", "200 more-0 /")
	if tw.haproxy.Pid() == before {
		tw.t.Fatal("HAProxy was not reloaded")
	}
}

func TestAnIdleClientOutlivesAReloadAndItsPod(t *testing.T) {
	tw, l := streets(t)
	only := newPod(t, "only-0")
	tw.service("only", nil, only)
	tw.awaitAnswer("any", "/only/", "200 only-0 /")
	again := tw.askKept("/only/", "only")
	tw.reloadNow()
	next := newPod(t, "only-1")
	tw.endpoints("only", next)
	tw.awaitServers("shop_only_80", next)
	only.server.Close()
	if err := again("only-1"); err != nil {
		t.Errorf("on the connection to the retired worker: %v", err)
	}
	l.check(t)
}

// TestAnIdleClientOutlivesTheFilesOfPodgate loses what podgate keeps, and what
// HAProxy shares with the worker that it retires, while podgate is away.
func TestAnIdleClientOutlivesTheFilesOfPodgate(t *testing.T) {
	tw, l := streets(t)
	tw.service("only", nil, newPod(t, "only-0"))
	tw.awaitAnswer("any", "/only/", "200 only-0 /")
	again := tw.askKept("/only/", "only")
	tw.stop()
	for _, name := range []string{"podgate.secret", "podgate.cfg", "podgate.loaded.json"} {
		if err := os.Remove(filepath.Join(tw.haproxy.Folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	tw.start()
	tw.reloadNow()
	if err := again("only"); err != nil {
		t.Errorf("on the connection to the retired worker: %v", err)
	}
	l.check(t)
}

func TestHealthAndDrainSurviveAReload(t *testing.T) {
	tw := newTown(t)
	dead, draining := newPod(t, "cart-0"), newPod(t, "cart-1")
	tw.configure("[defaults]\ncheck_interval = \"100ms\"\n")
	tw.service("cart", nil, dead, draining, newPod(t, "cart-2"))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-2 /")
	dead.server.Close()
	err := tw.api.SetSlice(kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "shop", Name: "cart-cart-1"}, Service: "cart", AddressType: "IPv4",
		Ports:     []kubeapi.EndpointPort{{Name: "web", Protocol: "TCP", Port: draining.addr.Port()}},
		Endpoints: []kubeapi.Endpoint{{Addr: draining.addr.Addr(), Serving: true, Terminating: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{dead.name: "0 0", draining.name: "2 8", "cart-2": "2 0"} // srv_op_state srv_admin_state
	states := func() error {
		got := map[string]string{}
		for _, row := range strings.Split(tw.say(t, "show servers state shop_cart_80"), "\n") {
			fields := strings.Fields(row)
			for _, p := range tw.pods["cart"] {
				if len(fields) > 6 && fields[3] == p.addr.String() {
					got[p.name] = fields[5] + " " + fields[6]
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	}
	eventually(t, "cart-0 is down and cart-1 drains", states)
	before := tw.haproxy.Pid()
	tw.reloading("more", newPod(t, "more-0"))
	eventually(t, "HAProxy is reloaded", func() error {
		if tw.haproxy.Pid() == before {
			return errors.New("it is not")
		}
		return nil
	})
	if err := states(); err != nil {
		t.Errorf("right after the reload: %v", err)
	}
	eventually(t, "the state is taken away", func() error {
		text, err := os.ReadFile(filepath.Join(tw.haproxy.Folder, "servers.state"))
		if err == nil && string(text) != "1\n" {
			err = fmt.Errorf("it holds %q", text)
		}
		return err
	})
}

func TestADeadAdminSocketIsDoneWithout(t *testing.T) {
	tw, l := streets(t)
	if err := os.Remove(tw.haproxy.Admin); err != nil {
		t.Fatal(err)
	}
	p := newPod(t, "cart-2")
	tw.endpoints("cart", p)
	tw.awaitAnswer("any", "/cart/", "200 cart-2 /")
	tw.awaitLog("admin socket is dead, HAProxy is reached through its master")
	tw.reloading("more", newPod(t, "more-0"))
	tw.awaitAnswer("any", "/more/", "200 more-0 /")
	l.check(t)
	if n := strings.Count(tw.log.String(), "admin socket is dead"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// say says a command to HAProxy.
func (tw *town) say(t *testing.T, command string) string {
	t.Helper()
	conn, err := net.Dial("unix", tw.haproxy.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, command)
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(reply)
}

func TestARelayThatIsTakenIsDoneWithout(t *testing.T) {
	tw := newTown(t)
	listener, err := net.Listen("tcp", tw.relay.String())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.reloading("new", newPod(t, "new-0"))
	tw.awaitAnswer("any", "/new/", "200 new-0 /")
	tw.awaitLog("http.relay is set aside")
	if n := strings.Count(tw.log.String(), "http.relay is set aside"); n != 1 {
		t.Errorf("told %d times:\n%s", n, tw.log)
	}
}

// upgrade is a connection that speaks another protocol behind HTTP, as
// WebSockets do.
func (tw *town) upgrade(t *testing.T, path string) *bufio.ReadWriter {
	t.Helper()
	conn, err := net.Dial("tcp", tw.http.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: any\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", path)
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", resp, err)
	}
	return bufio.NewReadWriter(reader, bufio.NewWriter(conn))
}

func echo(t *testing.T, conn *bufio.ReadWriter, text string) {
	t.Helper()
	fmt.Fprintln(conn, text)
	conn.Flush()
	if got, err := conn.ReadString('\n'); err != nil || strings.TrimSpace(got) != text {
		t.Errorf("%s: got %q, %v", text, got, err)
	}
}
