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

	"podgate/daemon"
	"podgate/daemon/admin"
	"podgate/daemon/edgetest"
	"podgate/haproxy"
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
	e.checkOneReload(t)
}

// TestHAProxyAndExplainChooseTheSameRoutes requests each URL, and explains it.
func TestHAProxyAndExplainChooseTheSameRoutes(t *testing.T) {
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
	e.awaitAnswer(t, "any", "/plain/", "200 plain /")
	e.awaitReloads(t)
	client := admin.NewClient(e.Socket)
	for _, row := range []struct{ name, host, path, want string }{
		{"a host has every path", "shop.example.com", "/x/y", "200 byhost /x/y"},
		{"case, port and final dot of a host do not matter", "SHOP.example.com.:80", "/", "200 byhost /"},
		{"a path of a host has priority over the host", "shop.example.com", "/api/x", "200 bypath /api/x"},
		{"a path matches whole segments", "shop.example.com", "/apiary", "200 byhost /apiary"},
		{"several paths lead to one Service", "shop.example.com", "/v1/api", "200 bypath /v1/api"},
		{"the longest path wins", "shop.example.com", "/api/deep/x", "200 deeper /x"},
		{"a stripped path leaves a slash", "shop.example.com", "/api/deep", "200 deeper /"},
		{"a wildcard matches one label", "other.example.com", "/", "200 wild /"},
		{"a wildcard does not match two labels", "a.b.example.com", "/", notFound},
		{"an exact host has priority over a longer path of a wildcard", "shop.example.com", "/only", "200 byhost /only"},
		{"a wildcard has paths", "other.example.com", "/only/this", "200 wildpath /only/this"},
		{"a folded path matches in any case and is not rewritten", "any.test", "/oLd/Path", "200 folded /oLd/Path"},
		{"a longer folded path has priority over a shorter one", "shop.example.com", "/api/DEEP/er/x", "200 foldhost /new/x"},
		{"a path is replaced", "any.test", "/was/x", "200 replaced /is/x"},
		{"a path is replaced without a slash after it", "any.test", "/was", "200 replaced /is"},
		{"a Service path is stripped", "any.test", "/plain/x?q=1", "200 plain /x"},
		{"a Service path leaves no double slash", "any.test", "/plain//evil.test", "200 plain /evil.test"},
		{"nothing matches", "any.test", "/none", notFound},
	} {
		t.Run(row.name, func(t *testing.T) {
			e.awaitAnswer(t, row.host, row.path, row.want)
			x, err := client.Explain(t.Context(), admin.Query{Of: "http://" + row.host + row.path})
			must(t, err)
			explained := notFound
			if len(x.URL.Matches) > 0 {
				explained = "200 " + strings.TrimPrefix(x.URL.Service, "shop/") + " " + x.URL.Path
			}
			if explained != row.want || (x.URL.HAProxy == "finds no route either") != (row.want == notFound) {
				t.Errorf("explain: %q, HAProxy %s; want %q", explained, x.URL.HAProxy, row.want)
			}
		})
	}
	t.Run("a slash in Host is rejected", func(t *testing.T) {
		// The map lookup would find host shop.example.com and path /api/private.
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

func TestPodsEndAfterTheirLastRequestWithoutAFailure(t *testing.T) {
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
		idle := "\nshop_cart_80," + old.Addr.String() + ",0," // qcur, then qmax and scur
		awaitThat(t, "the requests of "+old.Name+" end", func() bool {
			stat := e.command(t, "show stat shop_cart_80 4 -1")
			_, row, listed := strings.Cut(stat, idle)
			_, row, _ = strings.Cut(row, ",")
			return strings.HasPrefix(row, "0,") || !listed && !strings.Contains(stat, old.Addr.String())
		})
		old.Close()
	}
	l.check(t)
	t.Logf("endpoint changes %d, reloads after the first %d", changes, len(e.Reloads())-1)
	e.checkPid(t, before)
}

func TestARestartOfPodgateChangesNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	sent := e.tapSockets(t)
	e.configure(t, `[tcp]
allowed_ports = [`+fmt.Sprint(e.freeAddr(t).Port())+"]\n")
	e.service(t, "cart", map[string]string{"cookie-sticky-session": "true", "timeout-server": "20s"}, newPod(t, "cart-0"), newPod(t, "cart-1"))
	old := newPod(t, "old-0") // it gets no request, so HAProxy deletes it immediately
	e.service(t, "old", nil, old)
	e.start(t)
	e.awaitServers(t, "shop_old_80", old)
	e.Cluster.Delete("Service", "shop", "old") // its backend may remain in the process
	e.awaitStates(t, "shop_old_80")
	e.awaitNoBackend(t, "shop_old_80")
	e.awaitAnswer(t, "any", "/old/", notFound)
	e.stop(t)
	pid, reloads := e.HAProxy.Pid(), len(e.Reloads())

	sent.reset()
	e.start(t)
	awaitThat(t, "podgate observes HAProxy", func() bool { return sent.size() >= 200 })
	e.service(t, "cart", map[string]string{"cookie-sticky-session": "true", "timeout-server": "20s"}) // a change, after which nothing older is pending
	e.awaitServers(t, "shop_cart_80")
	e.stop(t)
	for _, c := range sent.changes() {
		if !strings.HasPrefix(c, "set server shop_cart_80/") && !strings.HasPrefix(c, "del server shop_cart_80/") {
			t.Errorf("podgate sent %q", c)
		}
	}
	if e.HAProxy.Pid() != pid || len(e.Reloads()) != reloads {
		t.Errorf("HAProxy was reloaded: %q", e.Reloads())
	}
}

// TestAReloadThatWasCutShort starts podgate after a podgate that was killed between
// writing a configuration and reloading HAProxy.
func TestAReloadThatWasCutShort(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"the loaded configuration is known": true, "the loaded configuration is not known": false} {
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
			e.awaitLogCount(t, "out of sync", 0)
		})
	}
}

func TestLostStateFilesNeedOneReload(t *testing.T) {
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
	awaitThat(t, "the pass of a second reload ends", func() bool { return len(e.Reloads()) == 2 })
}

func TestPodgateWaitsForTheAPIServer(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	api, err := edgetest.StartProxy("tcp", "127.0.0.1:0", strings.TrimPrefix(e.Cluster.URL(), "http://"), nil)
	must(t, err)
	t.Cleanup(api.Close)
	e.set(t, "kubernetes.server", "http://"+api.Addr())
	e.serveCart(t)
	e.stop(t)
	api.Set(edgetest.Mode{Refuse: true})
	sent := e.tapSockets(t)
	e.Log.Reset()
	before := api.Accepted()
	e.start(t)
	// Services and EndpointSlices, four times each
	awaitThat(t, "podgate retries the API server", func() bool { return api.Accepted()-before >= 8 })
	if n := strings.Count(e.Log.String(), "level=WARN"); n != 1 || !strings.Contains(e.Log.String(), "API server unreachable") {
		t.Errorf("podgate warned %d times:\n%s", n, e.Log)
	}
	if sent.size() > 0 {
		t.Errorf("podgate sent commands to HAProxy: %q", sent.changes())
	}
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.service(t, "late", nil, newPod(t, "late-0"))
	api.Set(edgetest.Mode{})
	began := time.Now()
	e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
	t.Logf("followed %s after the API server came up", time.Since(began).Round(time.Millisecond))
}

// TestAStopDuringAChangeWritesIt stops podgate when it sends "add server": HAProxy serves
// the new server, also after a restart.
func TestAStopDuringAChangeWritesIt(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	sent := e.tapSockets(t)
	first, next := newPod(t, "cart-0"), newPod(t, "cart-1")
	e.service(t, "cart", nil, first)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	sent.listen(func(text string) {
		if strings.Contains(text, "add server") {
			e.Interrupt()
		}
	})
	e.endpoints(t, "cart", first, next) // one event: podgate may have ended before a second one
	e.awaitServers(t, "shop_cart_80", first, next)
	e.stop(t)
	must(t, e.HAProxy.Restart(t.Context()))
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
}

// TestAStopAtAnyMomentWritesWhatHAProxyServes stops podgate while it loads its first
// configuration, at another command in each row, and when HAProxy has just begun to
// serve. HAProxy serves the same after a restart.
func TestAStopAtAnyMomentWritesWhatHAProxyServes(t *testing.T) {
	t.Parallel()
	const served = 0
	for _, command := range []int{1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 20, served} {
		name := fmt.Sprintf("at command %d", command)
		if command == served {
			name = "after the first answer"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			e.service(t, "cart", nil, newPod(t, "cart-0"))
			sent := e.tapSockets(t)
			stopping := make(chan struct{}) // closed when podgate was interrupted
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

func TestAHostileAnnotationHarmsOnlyItsService(t *testing.T) {
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
		"cookie-sticky-session", "cookie-name", "timeout-connect", "timeout-server", "maxconn", "tcp", "backend-protocol", "sslTerm",
	}
	for name, value := range map[string]string{
		"a newline":        "a.example.com\n  server evil 127.0.0.1:1 # {",
		"a quote":          `"a.example.com`,
		"10 kB":            strings.Repeat("a", 10_000),
		"HAProxy keywords": "use_backend shop_cart_80 if { always_true }",
	} {
		for _, key := range keys {
			e.service(t, "evil", map[string]string{key: value}, newPod(t, "evil-0"))
			e.awaitLog(t, fmt.Sprintf("annotation serviceloadbalancer/lb.%s: ", key))
			e.service(t, "evil", nil, newPod(t, "evil-0"))
			awaitThat(t, "the problem of "+name+" in "+key+" ends", func() bool {
				log := e.Log.String()
				return strings.Count(log, "problem has ended") == strings.Count(log, "msg=problem ")
			})
		}
		if diff := cmp.Diff(before, e.filesWithout(t, "evil")); diff != "" {
			t.Errorf("%s: the files changed (-before +after):\n%s", name, diff)
		}
		e.Log.Reset()
	}
	e.checkPid(t, pid)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
}

// filesWithout returns the lines of podgate's files, without the section and the map
// entries of one Service.
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

func TestAnInvalidConfigurationLeavesThePreviousOneInForce(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.serveCart(t)
	e.configure(t, "[defaults]\nalgorithm = \"fastest\"\n[nonsense]\nx = 1\n")
	want := regexp.MustCompile(`\\?"fastest\\?" is not one of.*; .*podgate.toml:[0-9]+: nonsense: unknown section`)
	eventually(t, "status has both errors", func() error {
		s, err := admin.NewClient(e.Socket).Status(t.Context(), -1)
		if err != nil || !want.MatchString(s.Config.Error) {
			return fmt.Errorf("%q, %v", s.Config.Error, err)
		}
		return nil
	})
	if !want.MatchString(e.Log.String()) {
		t.Errorf("the log does not have both errors in one line:\n%s", e.Log)
	}
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.configure(t, "[defaults]\nalgorithm = \"leastconn\"\n")
	e.awaitReloads(t, "backend shop_cart_80 changed its policy")
	e.awaitFile(t, "podgate.cfg", "balance leastconn")
}

func TestSIGHUPRereadsAllFiles(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.service(t, "cart", nil)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "503 <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>")
	// podgate re-reads error files only on the signal.
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
	must(t, e.Cluster.PutService(kubeapi.Service{Key: kubeapi.Key{Namespace: "bank", Name: "vault"}}))
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.awaitAnswer(t, "any", "/vault/", notFound)
	e.set(t, "kubernetes.namespaces", []string{"shop", "bank"})
	e.awaitAnswer(t, "any", "/vault/", "503 <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>")
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
}

func TestABrokenOperatorFileIsLoggedOnceAndFailsNoRequest(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.Set("haproxy.reload_interval", "0s") // each change is an attempt
	e.configure(t, "")
	l := e.startLoaded(t)
	base, err := os.ReadFile(e.HAProxy.Base)
	must(t, err)
	must(t, os.WriteFile(e.HAProxy.Base, append(base, "\nbackend theirs\n  blance roundrobin\n"...), 0o600))
	e.serviceWithReload(t, "new", newPod(t, "new-0"))
	e.awaitLog(t, "haproxy -c rejects the operator's files")
	for n := range 5 { // endpoints follow meanwhile, over several attempts
		p := newPod(t, fmt.Sprintf("cart-%d", n+2))
		e.endpoints(t, "cart", p)
		e.awaitServers(t, "shop_cart_80", p)
	}
	e.awaitLogCount(t, "HAProxy is out of sync", 1)
	e.awaitLogCount(t, "in sync again", 0)
	must(t, os.WriteFile(e.HAProxy.Base, base, 0o600))
	e.serviceWithReload(t, "newer", newPod(t, "newer-0"))
	e.awaitAnswer(t, "any", "/newer/", "200 newer-0 /")
	e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
	e.awaitLog(t, "in sync again")
	l.check(t)
}

func TestATerminatingPodGetsNoNewRequest(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	leaving, staying := newPod(t, "cart-0"), newPod(t, "cart-1")
	e.service(t, "cart", nil, leaving, staying)
	e.start(t)
	e.awaitServers(t, "shop_cart_80", leaving, staying)
	must(t, e.Cluster.SetEndpoints("cart", append(edgetest.Terminating(leaving), edgetest.Ready(staying)...)...))
	e.awaitStates(t, "shop_cart_80", haproxy.Ready, haproxy.Drain)
	for range 20 {
		e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
	}
}

// TestAChangeOfPodgateTOMLWhilePodgateStartsIsSeen changes the file after podgate has
// read it, and before it watches it.
func TestAChangeOfPodgateTOMLWhilePodgateStartsIsSeen(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.Prepare = func(*daemon.Daemon) { e.set(t, "http.default_status", 410) }
	e.serveCart(t)
	e.awaitAnswer(t, "any", "/nothing", "410 410 no Service is reached by this host and path")
	e.awaitLogCount(t, "podgate.toml is in force", 1)
}
