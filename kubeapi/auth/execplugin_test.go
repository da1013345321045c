// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
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
		{"not while its credential is good", time.Hour, func(*execPlugin) {}, 1},
		{"not at once after a run, whatever became of it", -time.Hour, func(p *execPlugin) { p.stale = true }, 1},
		{"when its credential expires", time.Second, func(p *execPlugin) { p.ran = p.ran.Add(-execPause) }, 2},
		{"when the server refused its credential", time.Hour, func(p *execPlugin) { p.stale, p.ran = true, p.ran.Add(-execPause) }, 2},
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

func TestExecPluginThatIsNotThere(t *testing.T) {
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
