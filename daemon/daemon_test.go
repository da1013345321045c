// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/edgetest"
	"podgate/haproxy"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

const notFound = "404 404 no Service is reached by this host and path"

func TestAServiceIsServedAndFollowed(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	one, two := newPod(t, "one"), newPod(t, "two")
	e.service(t, "cart", nil, one)
	e.start(t)
	e.awaitAnswer(t, "any.example.com", "/cart/x", "200 one /x")
	e.endpoints(t, "cart", two)
	e.awaitAnswer(t, "any.example.com", "/cart/x", "200 two /x")
	e.awaitAnswer(t, "any.example.com", "/cartwheel", notFound)
	e.Cluster.Delete("Service", "shop", "cart")
	e.awaitAnswer(t, "any.example.com", "/cart/x", notFound)
	if got := e.Reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
}

func TestRoutesAreChosenAsPromised(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
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
		e.service(t, name, annotations, newPod(t, name))
	}
	e.start(t)
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
			e.awaitAnswer(t, row.host, row.path, row.want)
		})
	}
	t.Run("a slash in Host is refused", func(t *testing.T) {
		// It would be looked up as host shop.example.com and path /api/private.
		conn, err := net.Dial("tcp", e.HTTP.String())
		must(t, err)
		defer conn.Close()
		fmt.Fprint(conn, "GET /private HTTP/1.1\r\nHost: shop.example.com/api\r\n\r\n")
		status, err := bufio.NewReader(conn).ReadString('\n')
		if want := "HTTP/1.1 400 Bad request\r\n"; status != want {
			t.Errorf("got %q, %v, want %q", status, err, want)
		}
	})
}

func TestEndpointChangesCauseNoReloadAndNoFailure(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	pods := []*edgetest.Pod{newPod(t, "cart-0"), newPod(t, "cart-1"), newPod(t, "cart-2")}
	e.service(t, "cart", nil, pods...)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	before := e.HAProxy.Pid()
	l := e.startLoad(t, "/cart/a", "/cart/b")
	const changes = 50
	for n := range changes / 2 {
		old := pods[0]
		pods = append(pods[1:], newPod(t, fmt.Sprintf("cart-%d", n+3)))
		e.endpoints(t, "cart", append([]*edgetest.Pod{old}, pods...)...)
		e.awaitServers(t, "shop_cart_80", append([]*edgetest.Pod{old}, pods...)...)
		e.endpoints(t, "cart", pods...)
		e.awaitServers(t, "shop_cart_80", pods...)
		eventually(t, "requests of "+old.Name+" end", func() error {
			if n := old.Active(); n > 0 {
				return fmt.Errorf("%d still run", n)
			}
			return nil
		})
		old.Close()
	}
	l.check(t)
	t.Logf("endpoint changes %d, reloads after the first %d", changes, len(e.Reloads())-1)
	if got := e.HAProxy.Pid(); got != before {
		t.Errorf("HAProxy was reloaded: %q", e.Reloads())
	}
}

func TestARestartOfPodgateChangesNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	said := e.tapSockets(t)
	e.configure(t, `[tcp]
allowed_ports = [`+fmt.Sprint(e.freeAddr(t).Port())+"]\n")
	e.service(t, "cart", map[string]string{"cookie-sticky-session": "true", "timeout-server": "20s"}, newPod(t, "cart-0"), newPod(t, "cart-1"))
	old := newPod(t, "old-0") // that is never asked, and so deleted at once when it leaves
	e.service(t, "old", nil, old)
	e.start(t)
	e.awaitServers(t, "shop_old_80", old)
	e.Cluster.Delete("Service", "shop", "old") // its backend may stay in the process
	e.awaitAnswer(t, "any", "/old/", notFound)
	eventually(t, "old-0 is deleted", func() error {
		servers, err := e.Runtime.Servers(t.Context(), []string{"shop_old_80"})
		if err == nil && len(servers["shop_old_80"]) > 0 {
			err = fmt.Errorf("servers: %v", servers)
		}
		return err
	})
	e.awaitNoBackend(t, "shop_old_80") // where HAProxy gives it up
	e.stop(t)
	pid, reloads := e.HAProxy.Pid(), len(e.Reloads())

	said.forget()
	e.start(t)
	// It looks again and again; after some looks it has done what it will do.
	eventually(t, "podgate looks at HAProxy", func() error {
		if !strings.Contains(e.Log.String(), "stopped") || said.size() < 200 {
			return fmt.Errorf("it said %d bytes", said.size())
		}
		return nil
	})
	e.service(t, "cart", map[string]string{"cookie-sticky-session": "true", "timeout-server": "20s"}) // a change that it must see
	e.awaitServers(t, "shop_cart_80")
	e.stop(t)
	for _, c := range said.changes() {
		if !strings.HasPrefix(c, "set server shop_cart_80/") && !strings.HasPrefix(c, "del server shop_cart_80/") {
			t.Errorf("podgate said %q", c)
		}
	}
	if e.HAProxy.Pid() != pid || len(e.Reloads()) != reloads {
		t.Errorf("HAProxy was reloaded: %q", e.Reloads())
	}
}

// TestAReloadThatWasCutShortIsFollowed is about a podgate that was killed when
// it had written the next configuration and HAProxy had not loaded it.
func TestAReloadThatWasCutShortIsFollowed(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"what HAProxy has is known": true, "what HAProxy has is not known": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			e.serveCart(t)
			e.awaitReloads(t)
			e.stop(t)
			loaded, before := filepath.Join(e.HAProxy.Folder, "podgate.loaded.json"), filepath.Join(e.HAProxy.Folder, "podgate.before.json")
			text, err := os.ReadFile(loaded)
			must(t, err)
			generation := regexp.MustCompile(`"generation":"\w+"`)
			next := generation.ReplaceAll(text, []byte(`"generation":"next"`))
			if !known {
				text = generation.ReplaceAll(text, []byte(`"generation":"lost"`))
			}
			must(t, errors.Join(os.WriteFile(loaded, next, 0o600), os.WriteFile(before, text, 0o600)))
			e.service(t, "more", nil, newPod(t, "more-0"))
			e.start(t)
			e.awaitAnswer(t, "any", "/more/", "200 more-0 /")
			e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
			if strings.Contains(e.Log.String(), "out of sync") {
				t.Error("there was trouble")
			}
		})
	}
}

func TestALostMemoryCostsOneReload(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.serveCart(t)
	e.awaitReloads(t)
	e.stop(t)
	for _, name := range []string{"podgate.loaded.json", "podgate.before.json"} {
		must(t, os.WriteFile(filepath.Join(e.HAProxy.Folder, name), []byte("\x00"), 0o600))
	}
	e.service(t, "more", nil, newPod(t, "more-0"))
	e.start(t)
	l := e.startLoad(t, "/cart/a")
	e.awaitAnswer(t, "any", "/more/", "200 more-0 /")
	l.check(t)
	eventually(t, "the reload's pass has ended", func() error {
		if reloads := e.Reloads(); len(reloads) != 2 {
			return fmt.Errorf("reloads: %q, want one more than the first", reloads)
		}
		return nil
	})
}

func TestPodgateWaitsForTheAPIServer(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	api, err := edgetest.StartProxy("tcp", "127.0.0.1:0", strings.TrimPrefix(e.Cluster.URL(), "http://"), nil)
	must(t, err)
	t.Cleanup(api.Close)
	e.Set("kubernetes.server", "http://"+api.Addr())
	e.configure(t, "")
	e.serveCart(t)
	e.stop(t)
	api.Set(edgetest.Mode{Refuse: true})
	sent := e.tapSockets(t)
	e.Log.Reset()
	before := api.Accepted()
	e.start(t)
	eventually(t, "podgate tries the API server again and again", func() error {
		if n := api.Accepted() - before; n < 8 { // Services and EndpointSlices, four times each
			return fmt.Errorf("it has tried %d times", n)
		}
		return nil
	})
	if n := strings.Count(e.Log.String(), "level=WARN"); n != 1 || !strings.Contains(e.Log.String(), "API server unreachable") {
		t.Errorf("it warned %d times:\n%s", n, e.Log)
	}
	if sent.size() > 0 {
		t.Errorf("it sent commands to HAProxy: %q", sent.changes())
	}
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.service(t, "late", nil, newPod(t, "late-0"))
	api.Set(edgetest.Mode{})
	began := time.Now()
	e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
	t.Logf("followed %s after the API server came up", time.Since(began).Round(time.Millisecond))
}

func TestStopLeavesHAProxyServing(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.serveCart(t)
	next := newPod(t, "cart-1")
	e.endpoints(t, "cart", next)
	e.awaitServers(t, "shop_cart_80", next) // and not cart-0 as well
	e.stop(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
	must(t, e.HAProxy.Restart(t.Context()))
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /") // the file holds what was last served
}

// TestAStopInTheMiddleOfAChangeLeavesItInTheFiles tells podgate to stop at the
// moment when it says to HAProxy what another one reads when it starts.
func TestAStopInTheMiddleOfAChangeLeavesItInTheFiles(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	said := e.tapSockets(t)
	e.configure(t, "")
	first, next := newPod(t, "cart-0"), newPod(t, "cart-1")
	e.service(t, "cart", nil, first)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	said.listen(func(text string) {
		if strings.Contains(text, "add server") {
			e.Interrupt()
		}
	})
	e.endpoints(t, "cart", first, next) // one event: podgate may be gone before a second
	e.awaitServers(t, "shop_cart_80", first, next)
	e.stop(t)
	must(t, e.HAProxy.Restart(t.Context()))
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
}

// TestAStopAtAnyMomentLeavesWhatRunsInTheFiles stops podgate while it loads its
// first configuration, each time when it sends another command to HAProxy, and when
// HAProxy has just begun to serve: what it serves then, it serves after a restart.
func TestAStopAtAnyMomentLeavesWhatRunsInTheFiles(t *testing.T) {
	t.Parallel()
	const served = 0
	for _, command := range []int{1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 20, served} {
		name := fmt.Sprintf("at command %d", command)
		if command == served {
			name = "when it is served"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			e.service(t, "cart", nil, newPod(t, "cart-0"))
			sent := e.tapSockets(t)
			stopping := make(chan struct{}) // closed when podgate was told to stop
			commands := 0
			sent.listen(func(string) {
				if commands++; commands == command {
					e.Interrupt()
					close(stopping)
				}
			})
			e.start(t)
			if command == served {
				e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
			} else {
				<-stopping
			}
			e.stop(t)
			before, _ := e.Get(t.Context(), "any", "/cart/")
			e.restartHAProxy(t)
			if after, err := e.Get(t.Context(), "any", "/cart/"); before == "200 cart-0 /" && after != before {
				t.Errorf("HAProxy answers %q, %v; before its restart it answered %q", after, err, before)
			}
			if command == served && before == "" {
				t.Error("HAProxy does not answer after podgate was stopped")
			}
		})
	}
}

func TestAHostileAnnotationIsAProblemOfItsServiceAlone(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	e.service(t, "evil", nil, newPod(t, "evil-0"))
	e.start(t)
	e.awaitAnswer(t, "any", "/evil/", "200 evil-0 /")
	before := e.filesWithout(t, "evil")
	pid := e.HAProxy.Pid()
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
			e.service(t, "evil", map[string]string{key: value}, newPod(t, "evil-0"))
			told := fmt.Sprintf("annotation serviceloadbalancer/lb.%s: ", key)
			eventually(t, name+" in "+key+" is told", func() error {
				if !strings.Contains(e.Log.String(), told) {
					return fmt.Errorf("log: %s", e.Log)
				}
				return nil
			})
			e.service(t, "evil", nil, newPod(t, "evil-0")) // the Problem ends
			eventually(t, name+" in "+key+" is over", func() error {
				if ended := e.Log.String(); strings.Count(ended, "problem has ended") != strings.Count(ended, "msg=problem ") {
					return fmt.Errorf("log: %s", ended)
				}
				return nil
			})
		}
		if diff := cmp.Diff(before, e.filesWithout(t, "evil")); diff != "" {
			t.Errorf("%s: the files changed (-before +after):\n%s", name, diff)
		}
		e.Log.Reset()
	}
	if got := e.HAProxy.Pid(); got != pid {
		t.Errorf("HAProxy was reloaded: %q", e.Reloads())
	}
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
}

// filesWithout returns the lines of our folder's files but those of the section
// and the entries of one Service.
func (e *edge) filesWithout(t *testing.T, service string) string {
	t.Helper()
	var kept strings.Builder
	names, err := filepath.Glob(filepath.Join(e.HAProxy.Folder, "[a-z]*.[cm]*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("files %q: %v", names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		must(t, err)
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
	t.Parallel()
	e := newEdge(t)
	e.serveCart(t)
	e.configure(t, "[defaults]\nalgorithm = \"fastest\"\n")
	eventually(t, "the refusal is told", func() error {
		if !strings.Contains(e.Log.String(), `\"fastest\" is not one of`) {
			return fmt.Errorf("log: %s", e.Log)
		}
		return nil
	})
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.configure(t, "[defaults]\nalgorithm = \"leastconn\"\n")
	e.awaitReloads(t, "backend shop_cart_80 changed its policy")
	text, err := os.ReadFile(filepath.Join(e.HAProxy.Folder, "podgate.cfg"))
	if err != nil || !strings.Contains(string(text), "balance leastconn") {
		t.Errorf("podgate.cfg has no leastconn: %v\n%s", err, text)
	}
}

func TestSIGHUPReadsEverythingAgain(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.service(t, "cart", nil)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "503 <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>")
	// Nothing tells podgate of a new error file but the signal.
	page := "HTTP/1.0 503 Sorry\r\nContent-Type: text/plain\r\n\r\nsorry\n"
	must(t, os.WriteFile(filepath.Join(e.errorFiles, "503.http"), []byte(page), 0o600))
	e.Hangup <- syscall.SIGHUP
	e.awaitAnswer(t, "any", "/cart/", "503 sorry")
	e.awaitReloads(t, "settings changed")
}

func TestAnotherNamespaceIsFollowedWithoutARestart(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	err := e.Cluster.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "bank", Name: "vault"}, Type: "ClusterIP",
		Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
	})
	must(t, err)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.awaitAnswer(t, "any", "/vault/", notFound)
	e.Set("kubernetes.namespaces", []string{"shop", "bank"})
	e.configure(t, "")
	e.awaitAnswer(t, "any", "/vault/", "503 <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>")
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
}

func TestHAProxyThatWasRestartedIsAdopted(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.serveCart(t)
	e.awaitReloads(t) // the pass that served this is over
	must(t, e.HAProxy.Restart(t.Context()))
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.endpoints(t, "cart", newPod(t, "cart-1"))
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
	if got := e.Reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
}

func TestAPortThatIsTakenIsSetAside(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	taken := newPod(t, "taken")
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	e.configure(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]\n", taken.Addr.Addr(), taken.Addr.Port()))
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	l := e.startLoad(t, "/cart/a")
	e.service(t, "db", map[string]string{"tcp": fmt.Sprint(taken.Addr.Port())}, newPod(t, "db-0"))
	e.awaitLog(t, "Service shop/db port web: set aside, the last loaded version stays in service: listen tcp4 "+taken.Addr.String()+": bind: address already in use")
	e.service(t, "new", nil, newPod(t, "new-0"))
	e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
	e.endpoints(t, "cart", newPod(t, "cart-1"))
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
	if log := e.Log.String(); strings.Contains(log, "problem has ended") || strings.Count(log, "set aside") != 1 {
		t.Error("it did not stay aside")
	}
	// What is wanted instead is tried at once.
	e.service(t, "db", nil, newPod(t, "db-1"))
	e.awaitAnswer(t, "any", "/db/", "200 db-1 /")
	e.awaitLog(t, `level=INFO msg="problem has ended" service=shop/db`)
	l.check(t)
}

func TestWhatHAProxyRefusesIsSetAside(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	// HAProxy is asked in the words of a wrapper that finds fault with one path.
	refusing := filepath.Join(t.TempDir(), "haproxy")
	real, err := haproxytest.Binary()
	must(t, err)
	script := fmt.Sprintf(`#!/bin/sh
for last; do :; done
if grep -n "GET /odd" "$last/podgate.cfg" >/dev/null; then
	echo "[ALERT]    (1) : config : parsing [$last/podgate.cfg:7] : odd" >&2
	exit 1
fi
exec %s "$@"
`, real)
	must(t, os.WriteFile(refusing, []byte(script), 0o700))
	e.Set("haproxy.binary", refusing)
	e.configure(t, "")
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	for i := range 7 {
		name := fmt.Sprintf("good%d", i)
		e.service(t, name, nil, newPod(t, name))
	}
	e.service(t, "cart", map[string]string{"check-path": "/odd"}, newPod(t, "cart-1"))
	e.service(t, "odd", map[string]string{"check-path": "/odd"}, newPod(t, "odd-0"))
	const refused = ": set aside, the last loaded version stays in service: check configuration: haproxy -c rejects podgate's configuration: config : parsing [podgate.cfg:7] : odd"
	e.awaitLog(t, "Service shop/odd port web"+refused)
	e.awaitLog(t, "Service shop/cart port web"+refused)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /") // with its new pod, as it was
	e.awaitAnswer(t, "any", "/odd/", notFound)
	for i := range 7 {
		e.awaitAnswer(t, "any", fmt.Sprintf("/good%d/", i), fmt.Sprintf("200 good%d /", i))
	}
	e.service(t, "late", nil, newPod(t, "late")) // another reload
	e.awaitAnswer(t, "any", "/late/", "200 late /")
	if log := e.Log.String(); strings.Contains(log, "problem has ended") || strings.Count(log, "set aside") != 2 {
		t.Error("they did not stay aside")
	}
	e.service(t, "odd", nil, newPod(t, "odd-1"))
	e.awaitAnswer(t, "any", "/odd/", "200 odd-1 /")
}

func TestABrokenOperatorFileIsToldOnceAndCostsNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.Set("haproxy.reload_interval", "0s") // each change is an attempt
	e.configure(t, "")
	l := e.openStreets(t)
	base, err := os.ReadFile(e.HAProxy.Base)
	must(t, err)
	must(t, os.WriteFile(e.HAProxy.Base, append(base, "\nbackend theirs\n  blance roundrobin\n"...), 0o600))
	e.reloading(t, "new", newPod(t, "new-0"))
	e.awaitLog(t, "haproxy -c rejects the operator's files")
	for n := range 5 { // endpoints follow meanwhile, over several attempts
		p := newPod(t, fmt.Sprintf("cart-%d", n+2))
		e.endpoints(t, "cart", p)
		e.awaitServers(t, "shop_cart_80", p)
	}
	log := e.Log.String()
	if told, over := strings.Count(log, "HAProxy is out of sync"), strings.Count(log, "in sync again"); told != 1 || over != 0 {
		t.Errorf("told %d times, and %d times that it was over", told, over)
	}
	must(t, os.WriteFile(e.HAProxy.Base, base, 0o600))
	e.reloading(t, "newer", newPod(t, "newer-0"))
	e.awaitAnswer(t, "any", "/newer/", "200 newer-0 /")
	e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
	e.awaitLog(t, "in sync again")
	l.check(t)
}

func TestDrainingEndpointsServeWhatTheyHave(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	leaving, staying := newPod(t, "cart-0"), newPod(t, "cart-1")
	e.service(t, "cart", nil, leaving, staying)
	e.start(t)
	e.awaitServers(t, "shop_cart_80", leaving, staying)
	must(t, e.Cluster.SetEndpoints("cart", append(edgetest.Terminating(leaving), edgetest.Ready(staying)...)...))
	eventually(t, "cart-0 drains", func() error {
		servers, err := e.Runtime.Servers(t.Context(), []string{"shop_cart_80"})
		if err != nil {
			return err
		}
		for _, s := range servers["shop_cart_80"] {
			if s.Addr == leaving.Addr && s.State == haproxy.Drain {
				return nil
			}
		}
		return fmt.Errorf("servers: %v", servers)
	})
	for range 20 {
		e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
	}
}
