// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRules(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       []string
	}{
		{"plain English has no finding", "The outage is logged once; podgate resyncs within one poll interval.", nil},
		{"a marker word", "The outage is told once.", []string{"told"}},
		{"capitals", "Beside it is another.", []string{"Beside"}},
		{"a part of another word", "The outfolded shell shipment is untold.", nil},
		{"words with a line break between them", "HAProxy is in\nstep.", []string{"in step"}},
		{"words with a comment sign between them", "# HAProxy is in\n# step.", []string{"in step"}},
		{"several findings in a sentence", "It is in step, and whoever asks is told.", []string{"told", "whoever", "in step"}},
		{"behind a load balancer", "The node is behind a cloud load balancer.", nil},
		{"behind your NAT", "The node is behind your NAT.", nil},
		{"behind in the sense of after", "Give a port behind the name.", []string{"behind"}},
		{"stand for", "The name may stand for several addresses.", nil},
		{"stand in the sense of be", "The name stands in the list.", []string{"stands"}},
		{"of type", "Secrets that are of type kubernetes.io/tls are read.", nil},
		{"is of as a definition", "ErrHeld is of a Confirm.", []string{"is of"}},
		{"otherwise at the start", "Otherwise the default applies.", nil},
		{"unless something otherwise", "The default applies, unless configured otherwise.", nil},
		{"otherwise as a whole message", "frontend x ends TLS otherwise", []string{"otherwise"}},
		{"the retired project service-loadbalancer", "the retired service-loadbalancer", nil},
		{"a retired worker", "a retired worker", []string{"retired"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got []string
			for _, f := range (text{"x.md", []part{{1, row.text}}}).find(rules()) {
				got = append(got, f.words)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// tree writes a module with one program and the files given.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files["go.mod"] = "module example\n\ngo 1.26\n"
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFindingsHaveFileAndLine(t *testing.T) {
	root := tree(t, map[string]string{
		"README.md": "# x\n\nIt is\ntold.\n",
		"cmd/podgate/main.go": "package main\n\nimport \"example/told\"\n\n" +
			"// A comment that is told.\ntype row struct {\n\tName string `json:\"told\"`\n}\n\n" +
			"func main() {\n\tprintln(told.Text, \"a name \"+\n\t\t\"is t\"+\"old\")\n}\n",
		"told/told.go":      "package told\n\nconst Text = `one\ntwo tells\n`\n",
		"told/told_test.go": "package told\n\nconst other = \"told\"\n",
		"unused/unused.go":  "package unused\n\nconst text = \"told\"\n",
	})
	for _, row := range []struct {
		name     string
		comments bool
		only     []string
		want     []string
	}{
		{"all user-facing texts", false, nil, []string{"README.md:4: \"told\"", "cmd/podgate/main.go:12: \"told\"", "told/told.go:4: \"tells\""}},
		{"one folder", false, []string{"./told/..."}, []string{"told/told.go:4: \"tells\""}},
		{"comments too", true, []string{"cmd"}, []string{"cmd/podgate/main.go:5: \"told\"", "cmd/podgate/main.go:12: \"told\""}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out strings.Builder
			count, err := run(root, row.comments, row.only, &out)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				if !strings.HasPrefix(line, "packaging/prose/exceptions.go") { // the exceptions match nothing in this tree
					line, _, _ = strings.Cut(line, " in ")
					got = append(got, line)
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if count < len(row.want) {
				t.Errorf("counted %d findings", count)
			}
		})
	}
}
