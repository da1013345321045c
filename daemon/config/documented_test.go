// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

const (
	exampleFile = "../../packaging/podgate.toml"
	manualFile  = "../../packaging/doc/configuration.md"
)

// comment is the comment of a key in the packaged example.
func comment(k key) string {
	return fmt.Sprintf("%s (%s; %s)", k.doc, k.field.accepts, k.effect)
}

// manualRow is the row of a key in configuration.md.
func manualRow(k key) string {
	printed := "`" + k.field.print() + "`"
	if k.section == grantSection {
		printed = "-"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |", k.name, k.field.accepts, printed, k.effect, k.doc)
}

// given returns the keys that the packaged example sets, because every file must
// set an API server.
func given() []string {
	return []string{"kubernetes.server", "kubernetes.ca_file", "kubernetes.token_file"}
}

func TestPackagedExampleEqualsTheDefaults(t *testing.T) {
	got, err := Parse(exampleFile, readFile(t, exampleFile))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Kubernetes.Servers = []string{"https://192.0.2.10:6443"}
	want.Kubernetes.CAFile = "/etc/podgate/ca.crt"
	want.Kubernetes.TokenFile = "/etc/podgate/token"
	if diff := cmp.Diff(want, got, equateAddrs()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPackagedExampleWithoutCommentSigns(t *testing.T) {
	var lines []string
	for line := range strings.Lines(string(readFile(t, exampleFile))) {
		if s, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(s, " ") {
			line = s
		}
		lines = append(lines, line)
	}
	got, err := Parse(exampleFile, []byte(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	want := []Grant{{
		Namespace:   "shop",
		Hosts:       []haproxy.HostPattern{"shop.example.com", "*.shop.example.com"},
		Paths:       []haproxy.PathPrefix{"/shop"},
		TCPPorts:    []PortRange{{5432, 5432}},
		Annotations: []string{"host", "path", "tcp"},
	}}
	if diff := cmp.Diff(want, got.Grants); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPackagedExampleHasEveryKey(t *testing.T) {
	have := readExample(t)
	for _, k := range allKeys(Default()) {
		name := k.section + "." + k.name
		got, ok := have[name]
		if !ok {
			t.Errorf("%s is missing", name)
			continue
		}
		if diff := cmp.Diff(comment(k), got.comment); diff != "" {
			t.Errorf("%s: comment (-want +got)\n%s", name, diff)
		}
		if want := k.field.print(); got.value != want && k.section != grantSection && !slices.Contains(given(), name) {
			t.Errorf("%s: got %s, want the default %s", name, got.value, want)
		}
		if got.given != slices.Contains(given(), name) {
			t.Errorf("%s: given is %v", name, got.given)
		}
	}
}

// exampleKey is a key in the packaged example.
type exampleKey struct {
	comment string // unwrapped
	value   string
	given   bool // not a comment
}

func readExample(t *testing.T) map[string]exampleKey {
	t.Helper()
	keys := make(map[string]exampleKey)
	var section string
	var words []string
	for line := range strings.Lines(string(readFile(t, exampleFile))) {
		line = strings.TrimSpace(line)
		if prose, ok := strings.CutPrefix(line, "# "); ok {
			words = append(words, strings.Fields(prose)...)
			continue
		}
		setting := strings.TrimPrefix(line, "#")
		if header, ok := strings.CutPrefix(setting, "["); ok {
			section = strings.Trim(header, "[]")
		}
		if name, printed, ok := strings.Cut(setting, " = "); ok {
			keys[section+"."+name] = exampleKey{strings.Join(words, " "), printed, setting == line}
		}
		words = nil
	}
	return keys
}

func TestManualHasEveryKey(t *testing.T) {
	sections := make(map[string][]string) // header -> its lines
	var header string
	for line := range strings.Lines(string(readFile(t, manualFile))) {
		line = strings.TrimSuffix(line, "\n")
		if h, ok := strings.CutPrefix(line, "## "); ok {
			header = h
		}
		sections[header] = append(sections[header], line)
	}
	for _, k := range allKeys(Default()) {
		header := "[" + k.section + "]"
		if k.section == grantSection {
			header = "[[grant]]"
		}
		if row := manualRow(k); !slices.Contains(sections[header], row) {
			t.Errorf("below %q is no row\n%s", header, row)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestManualShowsErrorsAsTheyAre reports the errors that the manual shows.
func TestManualShowsErrorsAsTheyAre(t *testing.T) {
	lines := make([]string, 18)
	lines[3], lines[4] = "[kubernetes]", `poll_intervall = "5s"`
	lines[5], lines[6] = `server = "https://192.0.2.10:6443"`, "[haproxy]"
	lines[8], lines[10] = "reload_interval = 5", "[http]"
	lines[11], lines[15] = `bind = ["localhost:80"]`, "[defaults]"
	lines[17] = `algorithm = "round-robin"`
	_, err := Parse("podgate.toml", []byte(strings.Join(lines, "\n")))
	if err == nil {
		t.Fatal("no error")
	}
	shown := "\n    " + strings.ReplaceAll(err.Error(), "\n", "\n    ") + "\n\n"
	if !strings.Contains(string(readFile(t, manualFile)), shown) {
		t.Errorf("the manual does not show%s", shown)
	}
}
