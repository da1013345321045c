// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"podgate/haproxy/cfgfile"
)

func TestAFileThatCannotBeWrittenIsToldTheSameWayEachTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "conf")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d := Dir(dir)
	if err := os.Mkdir(filepath.Join(dir, "podgate.cfg"), 0o700); err != nil { // no file can be renamed to it
		t.Fatal(err)
	}
	first, second := d.replace("podgate.cfg", []byte("x")), d.replace("podgate.cfg", []byte("y"))
	if first == nil || first.Error() != second.Error() {
		t.Errorf("told as %q, then as %q", first, second)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	gone, again := d.replace("podgate.cfg", []byte("x")), d.replace("podgate.cfg", []byte("y"))
	if gone == nil || gone.Error() != again.Error() {
		t.Errorf("told as %q, then as %q", gone, again)
	}
	if want := "write " + filepath.Join(dir, "podgate.cfg") + ": no such file or directory"; gone.Error() != want {
		t.Errorf("got %q, want %q", gone, want)
	}
}

func TestManyFilesAreWrittenTogether(t *testing.T) {
	dir := t.TempDir()
	d := Dir(dir)
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
	if err := d.replaceAll(all, 0o600); err != nil {
		t.Fatal(err)
	}
	check(len(all))
	for _, c := range all {
		path := filepath.Join(dir, c.name)
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 || !holds(path, c.text, 0o600) {
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
	err := d.replaceAll(append(all, content{"x.pem", whole([]byte("x"))}), 0o600)
	if want := "write " + bad + ": file exists"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	check(len(all) + 1)
	if err := d.replaceAll(append(all, content{"no/such.pem", whole([]byte("x"))}), 0o600); err == nil {
		t.Error("a file in no folder was written")
	}
	check(len(all) + 1)
}

// TestKeysAreForNobodyElse is about new files, and about those that somebody has
// opened to others since.
func TestKeysAreForNobodyElse(t *testing.T) {
	for _, row := range []struct {
		name   string
		folder fs.FileMode
		want   fs.FileMode
	}{{"whose folder says nothing", 0o750, 0o600}, {"whose folder is for a group", 0o750 | fs.ModeSetgid, 0o640}} {
		d := Dir(t.TempDir())
		dir := d.CertificateFolder()
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, row.folder)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "a.pem")
		for _, when := range []string{"new", "the same", "opened to others", "another"} {
			key := "key\n"
			switch when {
			case "opened to others":
				if err := os.Chmod(path, 0o644); err != nil {
					t.Fatal(err)
				}
			case "another":
				key = "other key\n"
			}
			if err := d.WriteCertificates(map[string][]byte{"a.pem": []byte(key)}); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != row.want {
				t.Errorf("%s, %s: %v, %v, want %v", row.name, when, info.Mode(), err, row.want)
			}
		}
	}
	d := Dir(t.TempDir())
	if err := d.ensureTicketKeys(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.Path(cfgfile.TicketKeysFile)); err != nil || info.Mode() != 0o600 {
		t.Errorf("keys of tickets: %v, %v", info.Mode(), err)
	}
}

func TestASecretThatWasHarmedIsMadeAnew(t *testing.T) {
	d := Dir(t.TempDir())
	inUse := ""
	running := func() string { return inUse }
	secret, err := d.EnsureRelaySecret(running)
	if err != nil || !isSecret(secret) {
		t.Fatal(secret, err)
	}
	if again, err := d.EnsureRelaySecret(running); again != secret || err != nil {
		t.Errorf("it is another the second time: %q, %v", again, err)
	}
	config := "frontend x\n  unique-id-format " + secret + "\n"
	if err := os.WriteFile(filepath.Join(string(d), "podgate.cfg"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(string(d), relaySecretFile)); err != nil {
		t.Fatal(err)
	}
	if again, err := d.EnsureRelaySecret(running); again != secret || err != nil {
		t.Errorf("HAProxy has %q, and now it is %q, %v", secret, again, err)
	}
	if err := os.Remove(filepath.Join(string(d), "podgate.cfg")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(string(d), relaySecretFile)); err != nil {
		t.Fatal(err)
	}
	inUse = secret
	if again, err := d.EnsureRelaySecret(running); again != secret || err != nil {
		t.Errorf("HAProxy runs with %q, and now it is %q, %v", secret, again, err)
	}
	inUse = "nonsense"
	for name, text := range map[string]string{
		"cut": secret[:9], "empty": "", "two lines": secret[:20] + "\n" + secret[20:], "binary": "\xff" + secret[1:], "another's": strings.Repeat("a b", 10),
	} {
		if err := os.WriteFile(filepath.Join(string(d), relaySecretFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := d.EnsureRelaySecret(running); err != nil || !isSecret(got) || got == text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestASweepTakesNothingFromACommand has a podgate begin while a command writes.
func TestASweepTakesNothingFromACommand(t *testing.T) {
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
		t.Errorf("left behind: %q, %v", left, err)
	}
	if sweeps < 2 {
		t.Errorf("it was written %d times", sweeps)
	}
}
