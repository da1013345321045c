// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"podgate/daemon/compile"
)

const (
	rulesFile     = "../../packaging/prometheus/podgate.rules.yml"
	rulesTestFile = "../../packaging/prometheus/podgate.rules.test.yml"
	dashboardFile = "../../packaging/grafana/podgate.json"
)

// promtool runs promtool of Debian's package prometheus, if it is installed. CI has
// it.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	binary, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("promtool is not installed (apt-get install prometheus)")
	}
	if out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", args, err, out)
	}
}

func TestAlertRules(t *testing.T) {
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", rulesTestFile)
}

// queries are the expressions of the dashboard, without Grafana's variables.
func queries(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(dashboardFile)
	if err == nil {
		err = json.Unmarshal(text, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$haproxy", ".*").Replace(target.Expr))
		}
	}
	if len(all) < 10 {
		t.Fatalf("%s has %d queries", dashboardFile, len(all))
	}
	return all
}

func TestTheQueriesOfTheDashboardAreValid(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, q := range queries(t) {
		fmt.Fprintf(&rules, "  - {record: \"panel:%d\", expr: %q}\n", i, q)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// TestEveryDocumentedMetricExists looks for the metrics and label values of rules,
// dashboard and manual in the metrics of podgate.
func TestEveryDocumentedMetricExists(t *testing.T) {
	v := newView(t, 1, 1)
	v.Certificates = []Certificate{{Source: "a.pem", Expires: v.At}}
	v.Problems = []Problem{{Problem: compile.Problem{Kind: compile.Invalid}}}
	served := scrape(t, newServer(v))
	text := strings.Join(queries(t), "\n")
	for _, file := range []string{rulesFile, rulesTestFile, "../../packaging/doc/operations.md"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text += string(content)
	}
	frontends := regexp.MustCompile(`proxy=~"[^"]+"`) // HAProxy's, whose names begin with podgate_ too
	found := regexp.MustCompile(`\b(podgate|process)_[a-z0-9_]+`).FindAllString(frontends.ReplaceAllString(text, ""), -1)
	if len(found) < 20 {
		t.Fatalf("found %d metrics", len(found))
	}
	for _, name := range found {
		if name == "podgate_api_requests_total" { // there was no request yet
			continue
		}
		if !strings.Contains(served, "\n"+name+"{") && !strings.Contains(served, "\n"+name+" ") {
			t.Errorf("%s is documented but not served", name)
		}
	}
	for _, label := range regexp.MustCompile(`\b(state|method|result|reason|kind)="[^"]+"`).FindAllString(text, -1) {
		if !strings.Contains(served, label) {
			t.Errorf("%s is documented but not served", label)
		}
	}
}

// TestLogExamplesAreYAML does not check them with Filebeat and Fluent Bit.
func TestLogExamplesAreYAML(t *testing.T) {
	for _, file := range []string{"filebeat.yml", "fluent-bit.yaml"} {
		text, err := os.ReadFile(filepath.Join("../../packaging/examples/logs", file))
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := yaml.UnmarshalStrict(text, &v); err != nil || len(v) < 2 {
			t.Errorf("%s: %v, %d keys", file, err, len(v))
		}
	}
}
