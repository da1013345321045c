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
		before, then map[string]string // what the folder holds when it is kept, and what is written then
		want         map[string]string // after the restore
	}{
		{"what was replaced is back", map[string]string{cfgfile.ConfigFile: "a", "routes.map": "b"}, map[string]string{cfgfile.ConfigFile: "x", "routes.map": "y"},
			map[string]string{cfgfile.ConfigFile: "a", "routes.map": "b"}},
		{"what was not replaced stays", map[string]string{cfgfile.ConfigFile: "a", "routes.map": "b"}, map[string]string{"routes.map": "y"},
			map[string]string{cfgfile.ConfigFile: "a", "routes.map": "b"}},
		{"a configuration that was not there goes", nil, map[string]string{cfgfile.ConfigFile: "x"}, map[string]string{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, end := range []string{"restore", "forget"} {
				d := Dir(t.TempDir())
				write := func(files map[string]string) {
					t.Helper()
					for name, text := range files {
						if err := d.replace(name, []byte(text)); err != nil {
							t.Fatal(err)
						}
					}
				}
				write(row.before)
				b, err := d.Backup()
				if err != nil {
					t.Fatal(err)
				}
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
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, textsIn(t, string(d))); diff != "" {
					t.Errorf("%s (-want +got):\n%s", end, diff)
				}
			}
		})
	}
}

func TestABackupThatWasLeftIsRemoved(t *testing.T) {
	d := Dir(t.TempDir())
	if err := d.replace(cfgfile.ConfigFile, []byte("a")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and one that is left is no hindrance
		if _, err := d.Backup(); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.sweep(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{cfgfile.ConfigFile: "a"}, textsIn(t, string(d))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// textsIn are all files of a folder, hidden ones too.
func textsIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts[e.Name()] = string(text)
	}
	return texts
}
