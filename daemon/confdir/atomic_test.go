// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestTheSameErrorHasTheSameText(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "conf")
	must(t, os.Mkdir(dir, 0o700))
	d := Dir(dir)
	must(t, os.Mkdir(filepath.Join(dir, "podgate.cfg"), 0o700)) // no file can be renamed to it
	first, second := d.replace("podgate.cfg", []byte("x")), d.replace("podgate.cfg", []byte("y"))
	if first == nil || first.Error() != second.Error() {
		t.Errorf("got %q, then %q", first, second)
	}
	must(t, os.RemoveAll(dir))
	gone, again := d.replace("podgate.cfg", []byte("x")), d.replace("podgate.cfg", []byte("y"))
	if gone == nil || gone.Error() != again.Error() {
		t.Errorf("got %q, then %q", gone, again)
	}
	if want := "write " + filepath.Join(dir, "podgate.cfg") + ": no such file or directory"; gone.Error() != want {
		t.Errorf("got %q, want %q", gone, want)
	}
}

func TestManyFilesAreReplacedTogether(t *testing.T) {
	dir := t.TempDir()
	d := Dir(dir)
	var all []file
	for i := range 50 {
		all = append(all, file{fmt.Sprintf("%02d.pem", i), whole(fmt.Appendf(nil, "content %d\n", i))})
	}
	check := func(want int) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != want {
			t.Fatalf("%d files, want %d: %v %v", len(entries), want, entries, err)
		}
	}
	must(t, d.replaceAll(all, 0o600))
	check(len(all))
	for _, c := range all {
		path := filepath.Join(dir, c.name)
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 || !has(path, c.content, 0o600) {
			t.Errorf("%s: %v, %v", c.name, info, err)
		}
	}
	// One file cannot be written: replaceAll returns an error, the files before it may be
	// new, and no temporary file remains.
	bad := filepath.Join(dir, "x.pem")
	must(t, os.MkdirAll(filepath.Join(bad, "full"), 0o700))
	for i := range all {
		all[i].content = whole(fmt.Appendf(nil, "content %d again\n", i))
	}
	err := d.replaceAll(append(all, file{"x.pem", whole([]byte("x"))}), 0o600)
	if want := "write " + bad + ": file exists"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	check(len(all) + 1)
	if err := d.replaceAll(append(all, file{"no/such.pem", whole([]byte("x"))}), 0o600); err == nil {
		t.Error("a file in no folder was written")
	}
	check(len(all) + 1)
}

// TestACommandWritesAgainAfterASweep starts podgate while a command writes a file.
func TestACommandWritesAgainAfterASweep(t *testing.T) {
	d := Dir(t.TempDir())
	sweeps := 0
	err := d.replaceWith(drainFile, func(to io.Writer) error {
		if sweeps++; sweeps == 1 {
			if err := d.sweep(); err != nil {
				t.Error(err)
			}
		}
		_, err := io.WriteString(to, "since")
		return err
	}, ordinaryMode)
	if text, readErr := os.ReadFile(filepath.Join(string(d), drainFile)); err != nil || string(text) != "since" {
		t.Errorf("%v; the file holds %q, %v", err, text, readErr)
	}
	if left, err := filepath.Glob(filepath.Join(string(d), ".*")); len(left) > 0 || err != nil {
		t.Errorf("remaining files: %q, %v", left, err)
	}
	if sweeps < 2 {
		t.Errorf("it was written %d times", sweeps)
	}
}

// must fails the test with err.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
