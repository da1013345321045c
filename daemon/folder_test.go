// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileThatCannotBeWrittenIsToldTheSameWayEachTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "conf")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f := folder(dir)
	if err := os.Mkdir(filepath.Join(dir, "podgate.cfg"), 0o700); err != nil { // no file can be renamed to it
		t.Fatal(err)
	}
	first, second := f.replace("podgate.cfg", []byte("x")), f.replace("podgate.cfg", []byte("y"))
	if first == nil || first.Error() != second.Error() {
		t.Errorf("told as %q, then as %q", first, second)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	gone, again := f.replace("podgate.cfg", []byte("x")), f.replace("podgate.cfg", []byte("y"))
	if gone == nil || gone.Error() != again.Error() {
		t.Errorf("told as %q, then as %q", gone, again)
	}
	if want := "write " + filepath.Join(dir, "podgate.cfg") + ": no such file or directory"; gone.Error() != want {
		t.Errorf("got %q, want %q", gone, want)
	}
}

func TestManyFilesAreWrittenTogether(t *testing.T) {
	dir := t.TempDir()
	f := folder(dir)
	var all []content
	for i := range 50 {
		all = append(all, content{fmt.Sprintf("%02d.pem", i), whole(fmt.Appendf(nil, "content %d\n", i))})
	}
	check := func(want int) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != want {
			t.Fatalf("%d files, want %d: %v %v", len(entries), want, entries, err)
		}
	}
	if err := f.replaceAll(all, 0o600); err != nil {
		t.Fatal(err)
	}
	check(len(all))
	for _, c := range all {
		path := filepath.Join(dir, c.name)
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 || !holds(path, c.text) {
			t.Errorf("%s: %v, %v", c.name, info, err)
		}
	}
	// One of many cannot be written: it is told, the others before it may be new,
	// and nothing half written is left.
	bad := filepath.Join(dir, "x.pem")
	if err := os.MkdirAll(filepath.Join(bad, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].text = whole(fmt.Appendf(nil, "content %d again\n", i))
	}
	err := f.replaceAll(append(all, content{"x.pem", whole([]byte("x"))}), 0o600)
	if want := "write " + bad + ": file exists"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	check(len(all) + 1)
	if err := f.replaceAll(append(all, content{"no/such.pem", whole([]byte("x"))}), 0o600); err == nil {
		t.Error("a file in no folder was written")
	}
	check(len(all) + 1)
}

func TestASecretThatWasHarmedIsMadeAnew(t *testing.T) {
	f := folder(t.TempDir())
	secret, err := f.makeSecret()
	if err != nil || !isSecret(secret) {
		t.Fatal(secret, err)
	}
	if again, err := f.makeSecret(); again != secret || err != nil {
		t.Errorf("it is another the second time: %q, %v", again, err)
	}
	config := "frontend x\n  unique-id-format " + secret + "\n"
	if err := os.WriteFile(filepath.Join(string(f), "podgate.cfg"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(string(f), secretFile)); err != nil {
		t.Fatal(err)
	}
	if again, err := f.makeSecret(); again != secret || err != nil {
		t.Errorf("HAProxy has %q, and now it is %q, %v", secret, again, err)
	}
	if err := os.Remove(filepath.Join(string(f), "podgate.cfg")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cut": secret[:9], "empty": "", "two lines": secret[:20] + "\n" + secret[20:], "binary": "\xff" + secret[1:], "another's": strings.Repeat("a b", 10),
	} {
		if err := os.WriteFile(filepath.Join(string(f), secretFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := f.makeSecret(); err != nil || !isSecret(got) || got == text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
