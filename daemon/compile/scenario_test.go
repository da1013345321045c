// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"podgate/daemon/config"
	"podgate/kubeapi"
)

var update = flag.Bool("update", false, "write what Compile makes of the scenarios into them")

// TestScenarios compiles cluster.yaml under podgate.toml and compares with
// want.state and want.problems, for every archive in testdata/scenarios.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../../testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			s := readScenario(t, file)
			r := Compile(s.config, nil, s.snapshot, nil)
			got := map[string]string{"want.state": r.State.String(), "want.problems": problemLines(r.Problems)}
			if *update {
				s.write(t, got)
				return
			}
			for name, text := range got {
				if diff := cmp.Diff(s.want[name], text); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// scenario is one archive.
type scenario struct {
	file     string
	archive  *txtar.Archive
	config   *config.Config
	snapshot *kubeapi.Snapshot
	want     map[string]string
}

func readScenario(t testing.TB, file string) *scenario {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &scenario{file: file, archive: archive, want: map[string]string{}}
	for _, f := range archive.Files {
		switch f.Name {
		case "cluster.yaml":
			s.snapshot, err = kubeapi.Decode(bytes.NewReader(f.Data))
		case "podgate.toml":
			s.config, err = config.Parse(f.Name, f.Data)
		case "want.state", "want.problems":
			s.want[f.Name] = string(f.Data)
		default:
			t.Fatalf("%s: no scenario has a file %q", file, f.Name)
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	if s.config == nil || s.snapshot == nil {
		t.Fatalf("%s: cluster.yaml or podgate.toml is missing", file)
	}
	return s
}

// write replaces the expectations of the archive.
func (s *scenario) write(t *testing.T, got map[string]string) {
	t.Helper()
	kept := s.archive.Files[:0]
	for _, f := range s.archive.Files {
		if _, expectation := got[f.Name]; !expectation {
			kept = append(kept, f)
		}
	}
	s.archive.Files = append(kept,
		txtar.File{Name: "want.state", Data: []byte(got["want.state"])},
		txtar.File{Name: "want.problems", Data: []byte(got["want.problems"])},
	)
	if err := os.WriteFile(s.file, txtar.Format(s.archive), 0o666); err != nil {
		t.Fatal(err)
	}
}

func problemLines(problems []Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}
