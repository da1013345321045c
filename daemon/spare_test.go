// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"podgate/daemon/config"
	"podgate/daemon/dryrun"
	"podgate/daemon/edgetest"
	"podgate/haproxy"
)

// needSpares skips a test of HAProxy before 3.4, which has spares.
func needSpares(t *testing.T, e *edge) {
	t.Helper()
	if e.addsBackends(t) {
		t.Skip("this HAProxy adds backends at run time and has no spares")
	}
}

// awaitSpare waits until a backend has taken a spare, and returns its name.
func (e *edge) awaitSpare(t *testing.T, backend string) (spare string) {
	t.Helper()
	eventually(t, backend+" is in a spare", func() error {
		names, err := e.Runtime.SpareNames(t.Context())
		for s, name := range names {
			if name == backend {
				spare = s
				return err
			}
		}
		return fmt.Errorf("backends in spares: %v, %w", names, err)
	})
	return spare
}

// reloadByAnother reloads HAProxy as another program does.
func (e *edge) reloadByAnother(t *testing.T) {
	t.Helper()
	before := e.HAProxy.Pid()
	must(t, e.HAProxy.SignalReload())
	awaitThat(t, "HAProxy is reloaded", func() bool { pid := e.HAProxy.Pid(); return pid != 0 && pid != before })
}

// TestNobodyReadsTheNameOfASpare reads every output about a Service whose backend is in a
// spare, from the first request on.
func TestNobodyReadsTheNameOfASpare(t *testing.T) {
	t.Parallel()
	for format, want := range map[string][2]string{
		"httplog": {` podgate_http shop_new_80/ADDR `, ` podgate_http shop_closed_80/<NOSRV> `},
		"json":    {`"backend":"shop_new_80","namespace":"shop","service":"new","port":"80","pod":"ADDR"`, `"backend":"shop_closed_80","namespace":"shop","service":"closed","port":"80","pod":"<NOSRV>"`},
	} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			c := newChecked(t, "")
			e := c.edge
			e.hurry = true
			needSpares(t, e)
			socket := filepath.Join(e.Folder, "log.sock")
			log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
			must(t, err)
			defer log.Close()
			lines := make(chan string, 1000)
			go func() { // until log is closed
				text := make([]byte, 64<<10)
				for {
					n, err := log.Read(text)
					if err != nil {
						return
					}
					select {
					case lines <- string(text[:n]):
					default:
					}
				}
			}()
			e.logTo(t, socket+" format raw")
			e.Set("haproxy.access_log", format)
			e.configure(t, fmt.Sprintf("[cloud]\nhealth_bind = [%q]\n", c.plain))
			closed := map[string]string{"allow-source": "192.0.2.1"}
			e.service(t, "old", closed, newPod(t, "old-0"))
			e.serveCart(t)
			pid := e.HAProxy.Pid()
			p := newPod(t, "new-0")
			e.service(t, "new", map[string]string{"timeout-server": "20s"}, p)
			e.service(t, "closed", closed, newPod(t, "closed-0"))
			e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
			eventually(t, "the other new Service answers", func() error {
				got, err := e.Get(t.Context(), "any", "/closed/")
				if err == nil && !strings.HasPrefix(got, "403 ") {
					err = fmt.Errorf("got %q", got)
				}
				return err
			})
			spare := e.awaitSpare(t, "shop_new_80")

			for i, path := range []string{"/new/logged", "/closed/logged"} {
				_, err := from(listed, e.HTTP, "", path)
				must(t, err)
				var line string
				for line = ""; !strings.Contains(line, path); line = strings.ReplaceAll(receive(t, lines), `\/`, "/") {
					if strings.Contains(line, haproxy.SparePrefix) && !strings.Contains(line, "erver "+haproxy.SparePrefix) { // not an access log
						t.Errorf("HAProxy logged: %s", line)
					}
				}
				if !strings.Contains(line, strings.ReplaceAll(want[i], "ADDR", haproxy.ServerName(p.Addr))) {
					t.Errorf("want %s in %s", want[i], line)
				}
			}
			for path, want := range map[string]string{"/healthz/shop_new_80": "200 200 serving", "/healthz/shop_cart_80": "200 200 serving", "/healthz/shop_none_80": "503 503 no usable server"} {
				got, err := exchangeFrom(listed, c.plain, "GET "+path+" HTTP/1.1\r\nHost: lb\r\n\r\n")
				if got != want {
					t.Errorf("%s: got %q, want %q, %v", path, got, want, err)
				}
			}
			eventually(t, "the health of the new servers is polled", func() error {
				got, err := e.explain(t, "new", strings.NewReplacer())
				if err == nil && (!strings.Contains(got, "served") || !strings.Contains(got, "  ready  UP") && !strings.Contains(got, "no check")) {
					err = fmt.Errorf("%s", got)
				}
				return err
			})
			got, err := e.explain(t, "http://any.test/new/", strings.NewReplacer())
			if err != nil || !strings.Contains(got, "HAProxy  finds routes.map: */new/ shop_new_80|4|/new\n") {
				t.Errorf("explain: %v\n%s", err, got)
			}
			for name, output := range e.outputs(t) {
				if strings.Contains(output, haproxy.SparePrefix) {
					t.Errorf("%s: %s", name, output)
				}
			}
			e.awaitNoDifference(t)
			must(t, os.WriteFile(filepath.Join(e.HAProxy.Folder, "routes.map"), []byte("*/x/ "+spare+"|2\n"), 0o600)) // which podgate diff shows
			if got := strings.Join(e.differences(t), "\n"); strings.Contains(got, haproxy.SparePrefix) || !strings.Contains(got, "file write: routes.map: - */x/ shop_new_80|2") {
				t.Errorf("podgate diff:\n%s", got)
			}
			for line := range strings.Lines(e.Log.String()) {
				if strings.Contains(line, haproxy.SparePrefix) {
					t.Errorf("podgate logged: %s", line)
				}
			}
			e.checkPid(t, pid)
			e.checkOneReload(t)
		})
	}
}

// outputs returns what podgate shows to operators.
func (e *edge) outputs(t *testing.T) map[string]string {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", e.Socket)
	}}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	all := map[string]string{}
	for _, path := range []string{"/", "/history", "/metrics", "/api/v1/status", "/api/v1/history", "/api/v1/services", "/explain?of=shop/new", "/api/v1/explain?of=shop/new"} {
		text, err := edgetest.Fetch(t.Context(), client, "", "http://podgate"+path)
		if err != nil || !strings.HasPrefix(text, "200 ") || path != "/metrics" && path != "/api/v1/status" && !strings.Contains(text, "new") {
			t.Errorf("%s: %q, %v", path, text, err)
		}
		all[path] = text
	}
	c, err := config.Load(e.TOML)
	must(t, err)
	var rendered, problems bytes.Buffer
	must(t, dryrun.Render(t.Context(), c, "test", nil, &rendered, &problems))
	if !strings.Contains(rendered.String(), "\nbackend shop_new_80 from ") {
		t.Errorf("podgate render:\n%s", &rendered)
	}
	all["podgate render"] = rendered.String()
	return all
}

// TestSparesOutliveReloadsByOthers has backends in spares when another program reloads or
// restarts HAProxy, with podgate and without it.
func TestSparesOutliveReloadsByOthers(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	needSpares(t, e)
	sticky := map[string]string{"timeout-server": "20s", "maxconn": "50"}
	e.service(t, "new", sticky, newPod(t, "new-0"))
	e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
	spare := e.awaitSpare(t, "shop_new_80")
	e.awaitFile(t, "podgate.cfg", "\nbackend "+spare+" from ")
	e.awaitFile(t, "podgate.cfg", haproxy.ServerName(e.pods["new"][0].Addr))
	watched := e.startLoad(t, "/new/x")
	e.reloadByAnother(t)
	e.endpoints(t, "new", newPod(t, "new-1"))
	e.awaitAnswer(t, "any", "/new/", "200 new-1 /")
	e.service(t, "newer", nil, newPod(t, "newer-0"))
	e.awaitAnswer(t, "any", "/newer/", "200 newer-0 /")
	e.stop(t)
	e.reloadByAnother(t)
	e.awaitAnswer(t, "any", "/newer/", "200 newer-0 /")
	e.start(t)
	e.endpoints(t, "newer", newPod(t, "newer-1"))
	e.awaitAnswer(t, "any", "/newer/", "200 newer-1 /")
	watched.check(t)
	l.check(t)
	e.stop(t)
	e.restartHAProxy(t)
	e.awaitAnswer(t, "any", "/new/", "200 new-1 /")
	e.awaitAnswer(t, "any", "/newer/", "200 newer-1 /")
	e.start(t)
	e.endpoints(t, "new", newPod(t, "new-2"))
	e.awaitAnswer(t, "any", "/new/", "200 new-2 /")
	eventually(t, "no difference, except servers with idle connections", func() error {
		for _, line := range e.differences(t) {
			if !strings.HasPrefix(line, "process runtime: delete ") {
				return fmt.Errorf("%s", line)
			}
		}
		return nil
	})
	if got := e.awaitSpare(t, "shop_new_80"); got != spare {
		t.Errorf("shop_new_80 is in %s, want %s", got, spare)
	}
	e.checkOneReload(t)
}

// TestASpareIsReusedWhenNothingOfItsServiceIsLeft has one spare for one Service after the
// other, while another program may reload HAProxy at any time.
func TestASpareIsReusedWhenNothingOfItsServiceIsLeft(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	needSpares(t, e)
	e.set(t, "haproxy.spare_backends", 1)
	l := e.startLoaded(t)
	for n := range 4 {
		name := fmt.Sprintf("new%d", n)
		e.service(t, name, nil, newPod(t, name+"-0"))
		e.awaitAnswer(t, "any", "/"+name+"/", "200 "+name+"-0 /")
		watched := e.startLoad(t, "/"+name+"/x") // counts answers of other pods
		if n%2 == 1 {
			e.awaitFile(t, "podgate.cfg", haproxy.ServerName(e.pods[name][0].Addr))
			e.reloadByAnother(t)
		}
		sent := watched.Report().Sent
		awaitThat(t, "requests are sent", func() bool { return watched.Report().Sent > sent+10 })
		watched.check(t)
		e.Cluster.Delete("Service", "shop", name)
		e.awaitAnswer(t, "any", "/"+name+"/", notFound)
		eventually(t, "the spare is free", func() error {
			names, err := e.Runtime.SpareNames(t.Context())
			if err == nil && len(names) > 0 {
				err = fmt.Errorf("backends in spares: %v", names)
			}
			if text, _ := os.ReadFile(filepath.Join(e.HAProxy.Folder, "podgate.cfg")); err == nil && strings.Contains(string(text), haproxy.ServerName(e.pods[name][0].Addr)) {
				t.Error("podgate.cfg has a server of the Service that has left the spare")
			}
			return err
		})
	}
	l.check(t)
	e.checkOneReload(t)
	e.awaitNoDifference(t)
}

// TestANaturalReloadEndsTheUseOfSpares has a server that is down, one that drains and
// sticky sessions in spares.
func TestANaturalReloadEndsTheUseOfSpares(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	needSpares(t, e)
	e.hurry = true
	checked, bound := map[string]string{"check-path": "/healthz"}, map[string]string{"cookie-sticky-session": "true"}
	e.service(t, "a", checked, newPod(t, "a-0"))
	e.service(t, "b", bound, newPod(t, "b-0"))
	l := e.startLoaded(t)
	well, down := newPod(t, "web-0"), failingPod(t, "web-1")
	stays, drains := newPod(t, "sticky-0"), newPod(t, "sticky-1")
	e.service(t, "web", checked, well, down)
	e.service(t, "sticky", bound, stays, drains)
	e.awaitAnswer(t, "any", "/web/", "200 web-0 /")
	eventually(t, "the other new Service answers", func() error {
		got, err := e.Get(t.Context(), "any", "/sticky/")
		if err == nil && !strings.HasPrefix(got, "200 ") {
			err = fmt.Errorf("got %q", got)
		}
		return err
	})
	e.awaitSpare(t, "shop_web_80")
	e.awaitSpare(t, "shop_sticky_80")
	client := newBrowser(t, e.HTTP, e.HTTP)
	eventually(t, "a session on the server that will drain", func() error {
		if client.pod(t, "http://any.test/sticky/") != "sticky-1" {
			client = newBrowser(t, e.HTTP, e.HTTP)
			return fmt.Errorf("another server")
		}
		return nil
	})
	must(t, e.Cluster.SetEndpoints("sticky", append(edgetest.Terminating(drains), edgetest.Ready(stays)...)...))
	e.awaitStates(t, "shop_sticky_80", haproxy.Ready, haproxy.Drain)
	want := map[string]string{down.Addr.String(): "0 0", drains.Addr.String(): "2 8"}
	eventually(t, "the file has these servers", func() error { return e.checkStateFile(want) })
	failed := down.Served()
	watched := e.startLoad(t, "/web/x")
	reason := e.serviceWithReload(t, "more", newPod(t, "more-0"))
	e.awaitAnswer(t, "any", "/more/", "200 more-0 /")
	e.awaitReloads(t, reason)
	if names, err := e.Runtime.SpareNames(t.Context()); err != nil || len(names) > 0 {
		t.Errorf("backends in spares after the reload: %v, %v", names, err)
	}
	for _, name := range []string{"shop_web_80", "shop_sticky_80"} {
		if got := e.command(t, "show servers state "+name); !strings.Contains(got, name) {
			t.Errorf("%s has no servers under its own name: %s", name, got)
		}
	}
	for range 4 {
		if got := client.pod(t, "http://any.test/sticky/"); got != "sticky-1" {
			t.Errorf("the session moved to %s", got)
		}
	}
	eventually(t, "the file has the same servers", func() error { return e.checkStateFile(want) })
	watched.check(t)
	l.check(t)
	if got := down.Served(); got != failed {
		t.Errorf("the server that is down served %d requests", got-failed)
	}
	e.service(t, "again", checked, newPod(t, "again-0")) // in a fresh spare
	e.awaitAnswer(t, "any", "/again/", "200 again-0 /")
	e.awaitSpare(t, "shop_again_80")
	e.awaitReloads(t, reason)
	e.awaitNoDifference(t)
}

// TestSparesRunOut creates more Services than there are spares.
func TestSparesRunOut(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	needSpares(t, e)
	e.set(t, "haproxy.spare_backends", 2)
	l := e.startLoaded(t)
	for _, name := range []string{"n0", "n1"} {
		e.service(t, name, nil, newPod(t, name))
		e.awaitAnswer(t, "any", "/"+name+"/", "200 "+name+" /")
	}
	e.checkOneReload(t)
	e.service(t, "n2", nil, newPod(t, "n2"))
	e.awaitAnswer(t, "any", "/n2/", "200 n2 /")
	reason := "backend shop_n2_80 is new; no spare backend of its class is left"
	e.awaitReloads(t, reason)
	for _, name := range []string{"n3", "n4"} { // the reload has refilled the spares
		e.service(t, name, nil, newPod(t, name))
		e.awaitAnswer(t, "any", "/"+name+"/", "200 "+name+" /")
	}
	l.check(t)
	e.awaitReloads(t, reason)

	e.set(t, "haproxy.spare_backends", 0)
	e.Hangup <- nil
	e.awaitLog(t, "podgate.toml is in force")
	e.awaitReloads(t, reason)
	why := e.serviceWithReload(t, "more", newPod(t, "more-0"))
	e.awaitReloads(t, reason, why)
	e.service(t, "n5", nil, newPod(t, "n5"))
	e.awaitAnswer(t, "any", "/n5/", "200 n5 /")
	e.awaitReloads(t, reason, why, "backend shop_n5_80 is new")
	if text, err := os.ReadFile(filepath.Join(e.HAProxy.Folder, "podgate.cfg")); err != nil || bytes.Contains(text, []byte(haproxy.SparePrefix)) || !bytes.Contains(text, []byte("option httplog")) {
		t.Errorf("podgate.cfg without spares: %v\n%s", err, text)
	}
}
