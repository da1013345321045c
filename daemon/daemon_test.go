// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

const notFound = "404 404 no Service is reached by this host and path"

func TestAServiceIsServedAndFollowed(t *testing.T) {
	tw := newTown(t)
	one, two := newPod(t, "one"), newPod(t, "two")
	tw.service("cart", nil, one)
	tw.start()
	tw.awaitAnswer("any.example.com", "/cart/x", "200 one /x")
	tw.endpoints("cart", two)
	tw.awaitAnswer("any.example.com", "/cart/x", "200 two /x")
	tw.awaitAnswer("any.example.com", "/cartwheel", notFound)
	tw.api.Delete("Service", "shop", "cart")
	tw.awaitAnswer("any.example.com", "/cart/x", notFound)
	if got := tw.passes.reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
}

func TestRoutesAreChosenAsPromised(t *testing.T) {
	tw := newTown(t)
	for name, annotations := range map[string]map[string]string{
		"byhost":   {"host": "Shop.Example.com"},
		"bypath":   {"host": "shop.example.com", "path": "/api,/v1/api"},
		"deeper":   {"host": "shop.example.com", "path": "/api/deep", "rewrite": "true"},
		"wild":     {"host": "*.example.com"},
		"wildpath": {"host": "*.example.com", "path": "/only"},
		"folded":   {"aclMatch": "-i /Old"},
		"foldhost": {"host": "shop.example.com", "aclMatch": "-i /API/Deep/Er", "rewrite": "/new"},
		"replaced": {"path": "/was", "rewrite": "/is"},
		"plain":    nil,
	} {
		tw.service(name, annotations, newPod(t, name))
	}
	tw.start()
	for _, row := range []struct{ name, host, path, want string }{
		{"a host takes every path", "shop.example.com", "/x/y", "200 byhost /x/y"},
		{"a host is taken whatever its case, port and dot", "SHOP.example.com.:80", "/", "200 byhost /"},
		{"a path of a host beats the host", "shop.example.com", "/api/x", "200 bypath /api/x"},
		{"a path matches whole segments", "shop.example.com", "/apiary", "200 byhost /apiary"},
		{"several paths lead to one Service", "shop.example.com", "/v1/api", "200 bypath /v1/api"},
		{"the longest path wins", "shop.example.com", "/api/deep/x", "200 deeper /x"},
		{"a stripped path leaves a slash", "shop.example.com", "/api/deep", "200 deeper /"},
		{"a wildcard takes one label", "other.example.com", "/", "200 wild /"},
		{"a wildcard does not take two labels", "a.b.example.com", "/", notFound},
		{"an exact host beats a longer path of a wildcard", "shop.example.com", "/only", "200 byhost /only"},
		{"a wildcard has paths", "other.example.com", "/only/this", "200 wildpath /only/this"},
		{"a folded path matches in any case and is not rewritten", "any.test", "/oLd/Path", "200 folded /oLd/Path"},
		{"a longer folded path beats a shorter one", "shop.example.com", "/api/DEEP/er/x", "200 foldhost /new/x"},
		{"a path is replaced", "any.test", "/was/x", "200 replaced /is/x"},
		{"a path is replaced without a slash behind it", "any.test", "/was", "200 replaced /is"},
		{"a Service path is stripped", "any.test", "/plain/x?q=1", "200 plain /x"},
		{"a Service path leaves no double slash", "any.test", "/plain//evil.test", "200 plain /evil.test"},
		{"nothing matches", "any.test", "/none", notFound},
	} {
		t.Run(row.name, func(t *testing.T) {
			here := *tw
			here.t = t
			here.awaitAnswer(row.host, row.path, row.want)
		})
	}
	t.Run("a slash in Host is refused", func(t *testing.T) {
		// It would be looked up as host shop.example.com and path /api/private.
		conn, err := net.Dial("tcp", tw.http.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /private HTTP/1.1\r\nHost: shop.example.com/api\r\n\r\n")
		status, err := bufio.NewReader(conn).ReadString('\n')
		if want := "HTTP/1.1 400 Bad request\r\n"; status != want {
			t.Errorf("got %q, %v, want %q", status, err, want)
		}
	})
}

func TestEndpointChangesCauseNoReloadAndNoFailure(t *testing.T) {
	tw := newTown(t)
	pods := []*pod{newPod(t, "cart-0"), newPod(t, "cart-1"), newPod(t, "cart-2")}
	tw.service("cart", nil, pods...)
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	before := tw.haproxy.Pid()
	l := tw.startLoad("/cart/a", "/cart/b")
	const changes = 50
	for n := range changes / 2 {
		old := pods[0]
		pods = append(pods[1:], newPod(t, fmt.Sprintf("cart-%d", n+3)))
		tw.endpoints("cart", append([]*pod{old}, pods...)...)
		tw.awaitServers("shop_cart_80", append([]*pod{old}, pods...)...)
		tw.endpoints("cart", pods...)
		tw.awaitServers("shop_cart_80", pods...)
		eventually(t, "requests of "+old.name+" end", func() error {
			if n := old.active.Load(); n > 0 {
				return fmt.Errorf("%d still run", n)
			}
			return nil
		})
		old.server.Close()
	}
	l.check(t)
	t.Logf("endpoint changes %d, reloads after the first %d", changes, len(tw.passes.reloads())-1)
	if got := tw.haproxy.Pid(); got != before {
		t.Errorf("HAProxy was reloaded: %q", tw.passes.reloads())
	}
}

// awaitServers waits until exactly these pods are ready servers of the backend.
// Servers in maint do not count: they take nothing, and are deleted when HAProxy
// has closed its idle connections to them.
func (tw *town) awaitServers(backend string, pods ...*pod) {
	tw.t.Helper()
	want := map[string]string{}
	for _, p := range pods {
		want[p.addr.String()] = "ready"
	}
	eventually(tw.t, "servers of "+backend, func() error {
		servers, err := tw.runtime.Servers(tw.t.Context(), []string{backend})
		if err != nil {
			return err
		}
		got := map[string]string{}
		for _, s := range servers[backend] {
			if s.State != haproxy.Maint {
				got[s.Addr.String()] = s.State.String()
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestARestartOfPodgateChangesNothing(t *testing.T) {
	tw := newTown(t)
	said := tapSockets(t, tw.haproxy)
	tw.configure(`[tcp]
allowed_ports = [` + fmt.Sprint(tw.freeAddr().Port()) + "]\n")
	tw.service("cart", map[string]string{"cookie-sticky-session": "true", "timeout-server": "20s"}, newPod(t, "cart-0"), newPod(t, "cart-1"))
	old := newPod(t, "old-0") // that is never asked, and so deleted at once when it leaves
	tw.service("old", nil, old)
	tw.start()
	tw.awaitServers("shop_old_80", old)
	tw.api.Delete("Service", "shop", "old") // its backend may stay in the process
	tw.awaitAnswer("any", "/old/", notFound)
	eventually(t, "old-0 is deleted", func() error {
		servers, err := tw.runtime.Servers(t.Context(), []string{"shop_old_80"})
		if err == nil && len(servers["shop_old_80"]) > 0 {
			err = fmt.Errorf("servers: %v", servers)
		}
		return err
	})
	tw.awaitNoBackend("shop_old_80") // where HAProxy gives it up
	tw.stop()
	pid, reloads := tw.haproxy.Pid(), len(tw.passes.reloads())

	said.forget()
	tw.start()
	// It looks again and again; after some looks it has done what it will do.
	eventually(t, "podgate looks at HAProxy", func() error {
		if !strings.Contains(tw.log.String(), "stopped") || said.words() < 200 {
			return fmt.Errorf("it said %d bytes", said.words())
		}
		return nil
	})
	tw.service("cart", map[string]string{"cookie-sticky-session": "true", "timeout-server": "20s"}) // a change that it must see
	tw.awaitServers("shop_cart_80")
	tw.stop()
	for _, c := range said.changes() {
		if !strings.HasPrefix(c, "set server shop_cart_80/") && !strings.HasPrefix(c, "del server shop_cart_80/") {
			t.Errorf("podgate said %q", c)
		}
	}
	if tw.haproxy.Pid() != pid || len(tw.passes.reloads()) != reloads {
		t.Errorf("HAProxy was reloaded: %q", tw.passes.reloads())
	}
}

// TestAReloadThatWasCutShortIsFollowed is about a podgate that was killed when
// it had written the next configuration and HAProxy had not loaded it.
func TestAReloadThatWasCutShortIsFollowed(t *testing.T) {
	for name, known := range map[string]bool{"what HAProxy has is known": true, "what HAProxy has is not known": false} {
		t.Run(name, func(t *testing.T) {
			tw := newTown(t)
			tw.service("cart", nil, newPod(t, "cart-0"))
			tw.start()
			tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
			tw.awaitReloads()
			tw.stop()
			loaded, before := filepath.Join(tw.haproxy.Folder, "podgate.loaded.json"), filepath.Join(tw.haproxy.Folder, "podgate.before.json")
			text, err := os.ReadFile(loaded)
			if err != nil {
				t.Fatal(err)
			}
			generation := regexp.MustCompile(`"generation":"\w+"`)
			next := generation.ReplaceAll(text, []byte(`"generation":"next"`))
			if !known {
				text = generation.ReplaceAll(text, []byte(`"generation":"lost"`))
			}
			if err := errors.Join(os.WriteFile(loaded, next, 0o600), os.WriteFile(before, text, 0o600)); err != nil {
				t.Fatal(err)
			}
			tw.service("more", nil, newPod(t, "more-0"))
			tw.start()
			tw.awaitAnswer("any", "/more/", "200 more-0 /")
			tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
			if strings.Contains(tw.log.String(), "out of sync") {
				t.Error("there was trouble")
			}
		})
	}
}

func TestALostMemoryCostsOneReload(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.awaitReloads()
	tw.stop()
	for _, name := range []string{"podgate.loaded.json", "podgate.before.json"} {
		if err := os.WriteFile(filepath.Join(tw.haproxy.Folder, name), []byte("\x00"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tw.service("more", nil, newPod(t, "more-0"))
	tw.start()
	l := tw.startLoad("/cart/a")
	tw.awaitAnswer("any", "/more/", "200 more-0 /")
	l.check(t)
	eventually(t, "the reload's pass has ended", func() error {
		if reloads := tw.passes.reloads(); len(reloads) != 2 {
			return fmt.Errorf("reloads: %q, want one more than the first", reloads)
		}
		return nil
	})
}

func TestPodgateWaitsForTheAPIServer(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.stop()
	tw.api.Stop()
	said := tapSockets(t, tw.haproxy)
	tw.configure("")
	tw.log = new(logBuffer)
	tw.start()
	eventually(t, "podgate says that it waits", func() error {
		if !strings.Contains(tw.log.String(), "API server") {
			return fmt.Errorf("it says %q", tw.log)
		}
		return nil
	})
	time.Sleep(2500 * time.Millisecond) // more than two polls, for what must not happen
	if n := strings.Count(tw.log.String(), "level=WARN"); n != 1 {
		t.Errorf("it warned %d times:\n%s", n, tw.log)
	}
	if said.words() > 0 {
		t.Errorf("HAProxy was spoken to: %q", said.changes())
	}
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.service("late", nil, newPod(t, "late-0"))
	if err := tw.api.Start(""); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	tw.awaitAnswer("any", "/late/", "200 late-0 /")
	t.Logf("followed %s after the API server came up", time.Since(began).Round(time.Millisecond))
}

func TestStopLeavesHAProxyServing(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	next := newPod(t, "cart-1")
	tw.endpoints("cart", next)
	tw.awaitServers("shop_cart_80", next) // and not cart-0 as well
	tw.stop()
	tw.awaitAnswer("any", "/cart/", "200 cart-1 /")
	if err := tw.haproxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	tw.awaitAnswer("any", "/cart/", "200 cart-1 /") // the file holds what was last served
}

// TestAStopInTheMiddleOfAChangeLeavesItInTheFiles tells podgate to stop at the
// moment when it says to HAProxy what another one reads when it starts.
func TestAStopInTheMiddleOfAChangeLeavesItInTheFiles(t *testing.T) {
	tw := newTown(t)
	said := tapSockets(t, tw.haproxy)
	tw.configure("")
	first, next := newPod(t, "cart-0"), newPod(t, "cart-1")
	tw.service("cart", nil, first)
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	said.listen(func(text string) {
		if strings.Contains(text, "add server") {
			tw.told()
		}
	})
	tw.endpoints("cart", first, next) // one event: podgate may be gone before a second
	tw.awaitServers("shop_cart_80", first, next)
	tw.stop()
	if err := tw.haproxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	tw.awaitAnswer("any", "/cart/", "200 cart-1 /")
}

// TestAStopAtAnyMomentLeavesWhatRunsInTheFiles stops podgate while it loads its
// first configuration: what HAProxy serves then it serves when it was started
// again.
func TestAStopAtAnyMomentLeavesWhatRunsInTheFiles(t *testing.T) {
	served := 0
	for delay := 20 * time.Millisecond; delay < 320*time.Millisecond; delay += 15 * time.Millisecond {
		tw := newTown(t)
		tw.service("cart", nil, newPod(t, "cart-0"))
		tw.start()
		time.Sleep(delay)
		tw.stop()
		before, _, _ := tw.get("any", "/cart/")
		if before == 200 {
			served++
		}
		if err := tw.haproxy.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after, _, err := tw.get("any", "/cart/"); before == 200 && after != before {
			t.Errorf("stopped after %s: status %d, %v", delay, after, err)
		}
		if err := tw.haproxy.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("served at %d of 20 stops", served)
}

func TestAHostileAnnotationIsAProblemOfItsServiceAlone(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.service("evil", nil, newPod(t, "evil-0"))
	tw.start()
	tw.awaitAnswer("any", "/evil/", "200 evil-0 /")
	before := tw.filesWithout("evil")
	pid := tw.haproxy.Pid()
	keys := []string{
		"host", "path", "aclMatch", "rewrite", "algorithm", "backend-name", "check", "check-path", "check-interval",
		"cookie-sticky-session", "timeout-connect", "timeout-server", "maxconn", "tcp", "backend-protocol", "sslTerm",
	}
	for name, value := range map[string]string{
		"a newline":        "a.example.com\n  server evil 127.0.0.1:1",
		"a quote":          `"a.example.com`,
		"10 kB":            strings.Repeat("a", 10_000),
		"HAProxy keywords": "use_backend shop_cart_80 if TRUE",
	} {
		for _, key := range keys {
			tw.service("evil", map[string]string{key: value}, newPod(t, "evil-0"))
			told := fmt.Sprintf("annotation serviceloadbalancer/lb.%s: ", key)
			eventually(t, name+" in "+key+" is told", func() error {
				if !strings.Contains(tw.log.String(), told) {
					return fmt.Errorf("log: %s", tw.log)
				}
				return nil
			})
			tw.service("evil", nil, newPod(t, "evil-0")) // the Problem ends
			eventually(t, name+" in "+key+" is over", func() error {
				if ended := tw.log.String(); strings.Count(ended, "problem is gone") != strings.Count(ended, "msg=problem ") {
					return fmt.Errorf("log: %s", ended)
				}
				return nil
			})
		}
		if diff := cmp.Diff(before, tw.filesWithout("evil")); diff != "" {
			t.Errorf("%s: the files changed (-before +after):\n%s", name, diff)
		}
		tw.log.forget()
	}
	if got := tw.haproxy.Pid(); got != pid {
		t.Errorf("HAProxy was reloaded: %q", tw.passes.reloads())
	}
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
}

// filesWithout returns the lines of our folder's files but those of the section
// and the entries of one Service.
func (tw *town) filesWithout(service string) string {
	tw.t.Helper()
	var kept strings.Builder
	names, err := filepath.Glob(filepath.Join(tw.haproxy.Folder, "[a-z]*.[cm]*"))
	if err != nil || len(names) == 0 {
		tw.t.Fatalf("files %q: %v", names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			tw.t.Fatal(err)
		}
		skip := false
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, " ") {
				skip = strings.Contains(line, service)
			}
			if !skip && line != "\n" {
				kept.WriteString(line)
			}
		}
	}
	return kept.String()
}

func TestABadConfigurationLeavesTheOldOneInForce(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.configure("[defaults]\nalgorithm = \"fastest\"\n")
	eventually(t, "the refusal is told", func() error {
		if !strings.Contains(tw.log.String(), `\"fastest\" is not one of`) {
			return fmt.Errorf("log: %s", tw.log)
		}
		return nil
	})
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.configure("[defaults]\nalgorithm = \"leastconn\"\n")
	tw.awaitReloads("backend shop_cart_80 changed its policy")
	text, err := os.ReadFile(filepath.Join(tw.haproxy.Folder, "podgate.cfg"))
	if err != nil || !strings.Contains(string(text), "balance leastconn") {
		t.Errorf("podgate.cfg has no leastconn: %v\n%s", err, text)
	}
}

// awaitReloads waits until HAProxy was reloaded for these reasons, after the
// first time.
func (tw *town) awaitReloads(want ...string) {
	tw.t.Helper()
	eventually(tw.t, "reloads", func() error {
		got := tw.passes.reloads()
		if len(got) == 0 {
			return errors.New("none yet")
		}
		if !slices.Equal(want, got[1:]) {
			return fmt.Errorf("(-want +got):\n%s", cmp.Diff(want, got[1:]))
		}
		return nil
	})
}

func TestSIGHUPReadsEverythingAgain(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil)
	tw.start()
	tw.awaitAnswer("any", "/cart/", "503 <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>")
	// Nothing tells podgate of a new error file but the signal.
	page := "HTTP/1.0 503 Sorry\r\nContent-Type: text/plain\r\n\r\nsorry\n"
	if err := os.WriteFile(filepath.Join(tw.errors, "503.http"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	tw.hangup <- syscall.SIGHUP
	tw.awaitAnswer("any", "/cart/", "503 sorry")
	tw.awaitReloads("settings changed")
}

func TestAnotherNamespaceIsFollowedWithoutARestart(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	err := tw.api.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "bank", Name: "vault"}, Type: "ClusterIP",
		Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.awaitAnswer("any", "/vault/", notFound)
	text, err := os.ReadFile(tw.toml)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`["shop"]`), []byte(`["shop", "bank"]`), 1)
	if err := os.WriteFile(tw.toml, text, 0o600); err != nil {
		t.Fatal(err)
	}
	tw.awaitAnswer("any", "/vault/", "503 <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>")
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
}

func TestHAProxyThatWasRestartedIsAdopted(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.awaitReloads() // the pass that served this is over
	if err := tw.haproxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.endpoints("cart", newPod(t, "cart-1"))
	tw.awaitAnswer("any", "/cart/", "200 cart-1 /")
	if got := tw.passes.reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
}

func TestAPortThatIsTakenIsSetAside(t *testing.T) {
	tw := newTown(t)
	taken := newPod(t, "taken")
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.configure(fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]\n", taken.addr.Addr(), taken.addr.Port()))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	l := tw.startLoad("/cart/a")
	tw.service("db", map[string]string{"tcp": fmt.Sprint(taken.addr.Port())}, newPod(t, "db-0"))
	tw.awaitLog("Service shop/db port web: set aside, what was served of it stays: preflight: listen tcp4 " + taken.addr.String() + ": bind: address already in use")
	tw.service("new", nil, newPod(t, "new-0"))
	tw.awaitAnswer("any", "/new/", "200 new-0 /")
	tw.endpoints("cart", newPod(t, "cart-1"))
	tw.awaitAnswer("any", "/cart/", "200 cart-1 /")
	if log := tw.log.String(); strings.Contains(log, "problem is gone") || strings.Count(log, "set aside") != 1 {
		t.Error("it did not stay aside")
	}
	// What is wanted instead is tried at once.
	tw.service("db", nil, newPod(t, "db-1"))
	tw.awaitAnswer("any", "/db/", "200 db-1 /")
	tw.awaitLog(`level=INFO msg="problem is gone" service=shop/db`)
	l.check(t)
}

func TestWhatHAProxyRefusesIsSetAside(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	// HAProxy is asked in the words of a wrapper that finds fault with one path.
	refusing := filepath.Join(t.TempDir(), "haproxy")
	real, err := haproxytest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`#!/bin/sh
for last; do :; done
if grep -n "GET /odd" "$last/podgate.cfg" >/dev/null; then
	echo "[ALERT]    (1) : config : parsing [$last/podgate.cfg:7] : odd" >&2
	exit 1
fi
exec %s "$@"
`, real)
	if err := os.WriteFile(refusing, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(tw.toml)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(real), []byte(refusing), 1)
	if err := os.WriteFile(tw.toml, text, 0o600); err != nil {
		t.Fatal(err)
	}
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	for i := range 7 {
		name := fmt.Sprintf("good%d", i)
		tw.service(name, nil, newPod(t, name))
	}
	tw.service("cart", map[string]string{"check-path": "/odd"}, newPod(t, "cart-1"))
	tw.service("odd", map[string]string{"check-path": "/odd"}, newPod(t, "odd-0"))
	const refused = ": set aside, what was served of it stays: check configuration: haproxy -c refuses what podgate would write: config : parsing [podgate.cfg:7] : odd"
	tw.awaitLog("Service shop/odd port web" + refused)
	tw.awaitLog("Service shop/cart port web" + refused)
	tw.awaitAnswer("any", "/cart/", "200 cart-1 /") // with its new pod, as it was
	tw.awaitAnswer("any", "/odd/", notFound)
	for i := range 7 {
		tw.awaitAnswer("any", fmt.Sprintf("/good%d/", i), fmt.Sprintf("200 good%d /", i))
	}
	tw.service("late", nil, newPod(t, "late")) // another reload
	tw.awaitAnswer("any", "/late/", "200 late /")
	if log := tw.log.String(); strings.Contains(log, "problem is gone") || strings.Count(log, "set aside") != 2 {
		t.Error("they did not stay aside")
	}
	tw.service("odd", nil, newPod(t, "odd-1"))
	tw.awaitAnswer("any", "/odd/", "200 odd-1 /")
}

func TestABrokenOperatorFileIsToldOnceAndCostsNothing(t *testing.T) {
	tw, l := streets(t)
	base, err := os.ReadFile(tw.haproxy.Base)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tw.haproxy.Base, append(base, "\nbackend theirs\n  blance roundrobin\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	tw.reloading("new", newPod(t, "new-0"))
	tw.awaitLog("haproxy -c refuses the operator's files")
	for n := range 5 { // endpoints follow meanwhile, over several attempts
		p := newPod(t, fmt.Sprintf("cart-%d", n+2))
		tw.endpoints("cart", p)
		tw.awaitServers("shop_cart_80", p)
		time.Sleep(tw.reloads)
	}
	log := tw.log.String()
	if told, over := strings.Count(log, "HAProxy is out of sync"), strings.Count(log, "in sync again"); told != 1 || over != 0 {
		t.Errorf("told %d times, and %d times that it was over", told, over)
	}
	if err := os.WriteFile(tw.haproxy.Base, base, 0o600); err != nil {
		t.Fatal(err)
	}
	tw.reloading("newer", newPod(t, "newer-0"))
	tw.awaitAnswer("any", "/newer/", "200 newer-0 /")
	tw.awaitAnswer("any", "/new/", "200 new-0 /")
	tw.awaitLog("in sync again")
	l.check(t)
}

// awaitLog waits until podgate's log says so.
func (tw *town) awaitLog(want string) {
	tw.t.Helper()
	eventually(tw.t, "podgate logs "+want, func() error {
		if !strings.Contains(tw.log.String(), want) {
			return errors.New("it does not")
		}
		return nil
	})
}

func TestDrainingEndpointsServeWhatTheyHave(t *testing.T) {
	tw := newTown(t)
	leaving, staying := newPod(t, "cart-0"), newPod(t, "cart-1")
	tw.service("cart", nil, leaving, staying)
	tw.start()
	tw.awaitServers("shop_cart_80", leaving, staying)
	err := tw.api.SetSlice(kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "shop", Name: "cart-cart-0"}, Service: "cart", AddressType: "IPv4",
		Ports:     []kubeapi.EndpointPort{{Name: "web", Protocol: "TCP", Port: leaving.addr.Port()}},
		Endpoints: []kubeapi.Endpoint{{Addr: leaving.addr.Addr(), Serving: true, Terminating: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "cart-0 drains", func() error {
		servers, err := tw.runtime.Servers(t.Context(), []string{"shop_cart_80"})
		if err != nil {
			return err
		}
		for _, s := range servers["shop_cart_80"] {
			if s.Addr == leaving.addr && s.State == haproxy.Drain {
				return nil
			}
		}
		return fmt.Errorf("servers: %v", servers)
	})
	for range 20 {
		tw.awaitAnswer("any", "/cart/", "200 cart-1 /")
	}
}
