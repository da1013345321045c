// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestExecPluginRunsAgain(t *testing.T) {
	runs := filepath.Join(t.TempDir(), "runs")
	plugin := func(expires time.Time) *execPlugin {
		script := fmt.Sprintf(`echo run >>%s; echo '{"apiVersion":"v1","kind":"ExecCredential","status":{"token":"t","expirationTimestamp":%q}}'`, runs, expires.UTC().Format(time.RFC3339))
		return &execPlugin{config: execConfig{APIVersion: "v1", Command: "sh", Args: []string{"-c", script}}}
	}
	for _, tt := range []struct {
		name    string
		expires time.Duration
		change  func(*execPlugin)
		want    int // runs
	}{
		{"not while its credential is valid", time.Hour, func(*execPlugin) {}, 1},
		{"not immediately after a run", -time.Hour, func(p *execPlugin) { p.stale = true }, 1},
		{"when its credential expires", time.Second, func(p *execPlugin) { p.ran = p.ran.Add(-execPause) }, 2},
		{"when the server rejected its credential", time.Hour, func(p *execPlugin) { p.stale, p.ran = true, p.ran.Add(-execPause) }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = os.Remove(runs)
			p := plugin(time.Now().Add(tt.expires))
			if err := p.refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			tt.change(p)
			if err := p.refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(runs)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(string(text), "run"); got != tt.want {
				t.Errorf("%d runs, want %d", got, tt.want)
			}
		})
	}
}

func TestExecPluginIsMissing(t *testing.T) {
	for command, want := range map[string]string{
		"podgate-none":  `run credential plugin "podgate-none": not found in PATH (see the handbook)`,
		"/podgate/none": `run credential plugin "/podgate/none": no such file (see the handbook)`,
	} {
		p := &execPlugin{config: execConfig{APIVersion: "v1", Command: command, Hint: "see the handbook"}}
		if err := p.refresh(t.Context()); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestExecPluginRunsAgainAfter401(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "token", "first")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := os.ReadFile(filepath.Join(dir, "token"))
		if err != nil || r.Header.Get("Authorization") != "Bearer "+string(text) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	script := fmt.Sprintf(`echo run >>%[1]s/runs; printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%%s"}}' "$(cat %[1]s/token)"`, dir)
	write(t, dir, "config", fmt.Sprintf(`
current-context: a
contexts: [{name: a, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: ["-c", %q]}}}]
`, server.URL, script))
	c, err := New(Config{Kubeconfig: dir + "/config"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	get := func() int {
		t.Helper()
		resp, err := (&http.Client{Transport: c}).Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for range 2 {
		if got := get(); got != http.StatusOK {
			t.Errorf("status %d with the first token", got)
		}
	}
	write(t, dir, "token", "second")
	c.plugin.ran = c.plugin.ran.Add(-execPause)
	if got := get(); got != http.StatusOK {
		t.Errorf("status %d, want 200 after the plugin has run again", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(text), "run"); got != 2 {
		t.Errorf("the plugin ran %d times, want twice", got)
	}
}
