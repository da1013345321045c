// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy/check"
)

func TestGlobalsAreTheLinesOfTheOperatorsGlobalSections(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := write("haproxy.cfg", `# server-state-file /comment
global
	stats socket "/run/a b.sock" level admin # comment
  description it\'s\ '# mine'
  # server-state-file /comment

defaults
  log global
global # a second one
  server-state-file /state
listen global-looking
  bind :1
`)
	write("conf.d/b.cfg", "global\n  maxconn 7")
	write("conf.d/ignored.txt", "global\n  maxconn 8\n")
	globals, err := check.HAProxy{Files: []string{first, filepath.Join(dir, "conf.d"), filepath.Join(dir, "missing.cfg")}}.Globals()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range globals {
		got = append(got, strings.TrimPrefix(g.String(), dir+"/"))
	}
	want := []string{
		"haproxy.cfg:3: stats socket /run/a b.sock level admin",
		"haproxy.cfg:4: description it's # mine",
		"haproxy.cfg:10: server-state-file /state",
		"conf.d/b.cfg:2: maxconn 7",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !check.NamesStateFile(globals) || check.NamesStateFile(globals[:2]) {
		t.Error("the file of server states is not found")
	}
}
