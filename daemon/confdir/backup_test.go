// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy/cfgfile"
)

func TestBackup(t *testing.T) {
	for _, row := range []struct {
		name         string
		before, then map[string]string // the files before the backup, and those written after it
		want         map[string]string // after the restore
	}{
		{"a replaced file is restored", map[string]string{cfgfile.ConfigFile: "a", "routes.map": "b"}, map[string]string{cfgfile.ConfigFile: "x", "routes.map": "y"},
			map[string]string{cfgfile.ConfigFile: "a", "routes.map": "b"}},
		{"a file that was not replaced stays", map[string]string{cfgfile.ConfigFile: "a", "routes.map": "b"}, map[string]string{"routes.map": "y"},
			map[string]string{cfgfile.ConfigFile: "a", "routes.map": "b"}},
		{"a configuration that did not exist is removed", nil, map[string]string{cfgfile.ConfigFile: "x"}, map[string]string{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, end := range []string{"restore", "discard"} {
				d := Dir(t.TempDir())
				write := func(files map[string]string) {
					t.Helper()
					for name, text := range files {
						must(t, d.replace(name, []byte(text)))
					}
				}
				write(row.before)
				b, err := d.Backup()
				must(t, err)
				write(row.then)
				want := row.want
				if end == "restore" {
					err = b.Restore()
				} else {
					want = map[string]string{}
					for _, files := range []map[string]string{row.before, row.then} {
						for name, text := range files {
							want[name] = text
						}
					}
					err = b.Discard()
				}
				must(t, err)
				if diff := cmp.Diff(want, textsIn(t, string(d))); diff != "" {
					t.Errorf("%s (-want +got):\n%s", end, diff)
				}
			}
		})
	}
}

func TestABackupOfAKilledPodgateIsRemoved(t *testing.T) {
	d := Dir(t.TempDir())
	must(t, d.replace(cfgfile.ConfigFile, []byte("a")))
	for range 2 { // the first backup does not prevent the second
		if _, err := d.Backup(); err != nil {
			t.Fatal(err)
		}
	}
	must(t, d.sweep())
	if diff := cmp.Diff(map[string]string{cfgfile.ConfigFile: "a"}, textsIn(t, string(d))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// textsIn returns all files of a folder, including hidden ones.
func textsIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	texts := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		texts[e.Name()] = string(text)
	}
	return texts
}
