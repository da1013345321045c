// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"podgate/haproxy/cfgfile"
)

// TestKeysAreReadableByNoOtherUser is about new files, and about files whose mode
// was changed since.
func TestKeysAreReadableByNoOtherUser(t *testing.T) {
	for _, row := range []struct {
		name   string
		folder fs.FileMode
		want   fs.FileMode
	}{{"an ordinary folder", 0o750, 0o600}, {"a folder of a group", 0o750 | fs.ModeSetgid, 0o640}} {
		d := Dir(t.TempDir())
		dir := d.CertificateFolder()
		must(t, errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, row.folder)))
		path := filepath.Join(dir, "a.pem")
		for _, when := range []string{"new", "the same", "readable by others", "another"} {
			key := "key\n"
			switch when {
			case "readable by others":
				must(t, os.Chmod(path, 0o644))
			case "another":
				key = "other key\n"
			}
			must(t, d.WriteCertificates(map[string][]byte{"a.pem": []byte(key)}))
			if info, err := os.Stat(path); err != nil || info.Mode() != row.want {
				t.Errorf("%s, %s: %v, %v, want %v", row.name, when, info.Mode(), err, row.want)
			}
		}
	}
	d := Dir(t.TempDir())
	must(t, d.ensureTicketKeys())
	if info, err := os.Stat(d.Path(cfgfile.TicketKeysFile)); err != nil || info.Mode() != 0o600 {
		t.Errorf("keys of tickets: %v, %v", info.Mode(), err)
	}
}
