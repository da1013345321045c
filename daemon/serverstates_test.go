// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/admin"
	"podgate/daemon/edgetest"
	"podgate/haproxy"
	"podgate/haproxy/haproxytest"
)

// checkStateFile returns an error unless the file of server states has these servers,
// with their srv_op_state and srv_admin_state.
func (e *edge) checkStateFile(want map[string]string) error {
	text, err := os.ReadFile(filepath.Join(e.HAProxy.Folder, "servers.state"))
	if err != nil {
		return err
	}
	got := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if row := strings.Fields(line); len(row) > 6 {
			got[row[3]] = row[5] + " " + row[6]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("(-want +got):\n%s", diff)
	}
	return nil
}

// failingPod is a pod that answers every request with 500.
func failingPod(t *testing.T, name string) *edgetest.Pod {
	return newPodOf(t, edgetest.PodOptions{Name: name, Configure: func(s *http.Server) {
		handler := s.Handler
		s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/healthz" {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			handler.ServeHTTP(w, r)
		})
	}})
}

// TestServersKeepTheirStateWhenAnotherProgramReloads reloads HAProxy by the signal of
// "systemctl reload haproxy", while podgate runs and while it does not. No request
// reaches the pod that is down, and none without a cookie the one that drains.
func TestServersKeepTheirStateWhenAnotherProgramReloads(t *testing.T) {
	t.Parallel()
	for name, global := range map[string][]string{
		"no file of server states":             nil,
		"the operator's file of server states": {"server-state-base /nowhere", "server-state-file their.state", "description of the operator", "spread-checks 5", "hard-stop-after 10m"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdgeIn(t, newCluster(t), haproxytest.Options{Global: global})
			e.hurry = true
			well, down := newPod(t, "web-0"), failingPod(t, "web-1")
			stays, drains := newPod(t, "sticky-0"), newPod(t, "sticky-1")
			none := failingPod(t, "none-0")
			e.service(t, "none", map[string]string{"check-path": "/healthz"}, none)
			e.service(t, "web", map[string]string{"check-path": "/healthz"}, well, down)
			e.service(t, "sticky", map[string]string{"cookie-sticky-session": "true"}, stays, drains)
			e.start(t)
			e.awaitAnswer(t, "any", "/web/", "200 web-0 /")
			e.awaitReloads(t)
			must(t, e.Cluster.SetEndpoints("sticky", append(edgetest.Terminating(drains), edgetest.Ready(stays)...)...))
			want := map[string]string{down.Addr.String(): "0 0", drains.Addr.String(): "2 8", none.Addr.String(): "0 0"}
			eventually(t, "the file has these servers", func() error { return e.checkStateFile(want) })
			if up, err := e.Runtime.Up(t.Context()); err != nil || up["shop_web_80"] != 1 || up["shop_sticky_80"] != 1 {
				t.Fatalf("servers that are up: %v, %v", up, err)
			}

			e.awaitNoDifference(t)
			served := func() [2]int { return [2]int{down.Served(), drains.Served()} }
			l := e.startLoad(t, "/web/x", "/sticky/x")
			reload := func() {
				t.Helper()
				before := e.HAProxy.Pid()
				must(t, e.HAProxy.SignalReload())
				awaitThat(t, "HAProxy is reloaded", func() bool { pid := e.HAProxy.Pid(); return pid != 0 && pid != before })
				e.awaitStates(t, "shop_sticky_80", haproxy.Ready, haproxy.Drain)
			}
			counted := served()
			for range 3 {
				reload()
			}
			e.stop(t)
			reload()
			l.check(t)
			// Checks of the pod that is down are requests for /healthz, which it does not count.
			if got := served(); got != counted {
				t.Errorf("the pods that are down and drain served %v requests, want %v", got, counted)
			}
			delete(want, none.Addr.String()) // when HAProxy starts later, this pod may be well
			if err := e.checkStateFile(want); err != nil {
				t.Errorf("after podgate has ended: %v", err)
			}
			if got := len(e.Reloads()); got != 1 {
				t.Errorf("podgate reloaded HAProxy %d times, want once", got)
			}
		})
	}
}

// TestSettingsOfTheOperatorThatHinderPodgateAreReported shows a setting in the status
// until it is removed.
func TestSettingsOfTheOperatorThatHinderPodgateAreReported(t *testing.T) {
	t.Parallel()
	const line = "tune.vars.sess-max-size 100000"
	e := newEdgeIn(t, newCluster(t), haproxytest.Options{Global: []string{line}})
	e.serveCart(t)
	base, err := os.ReadFile(e.HAProxy.Base)
	must(t, err)
	awaitStatus := func(what string, level admin.Level, n int) {
		t.Helper()
		eventually(t, what, func() error {
			s, err := admin.NewClient(e.Socket).Status(t.Context(), -1)
			if err == nil && (s.Level != level || len(s.HAProxy.Hindrances) != n || len(s.Reasons) != n) {
				err = fmt.Errorf("%s, %q, %q", s.Level, s.HAProxy.Hindrances, s.Reasons)
			}
			if err == nil && n > 0 && !strings.Contains(s.Reasons[0], e.HAProxy.Base+":") && !strings.Contains(s.Reasons[0], line) {
				err = fmt.Errorf("reasons: %q", s.Reasons)
			}
			return err
		})
	}
	awaitStatus("the setting is in the status", admin.Degraded, 1)
	must(t, os.WriteFile(e.HAProxy.Base, []byte(strings.Replace(string(base), line, "", 1)), 0o600))
	must(t, e.HAProxy.SignalReload()) // podgate reads the files when another process answers
	awaitStatus("it has ended", admin.Healthy, 0)
	if n := strings.Count(e.Log.String(), line); n != 1 {
		t.Errorf("the setting is logged %d times, want once", n)
	}
}
