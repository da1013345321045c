// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy/haproxytest"
)

// TestTheFolderAboveIsNotWatched has a folder of certificates whose parent may be /tmp
// or /var/log. daemon/filewatch follows the links.
func TestTheFolderAboveIsNotWatched(t *testing.T) {
	dir := t.TempDir()
	folder, archive, file := filepath.Join(dir, "certificates"), filepath.Join(dir, "archive"), filepath.Join(dir, "single", "one.pem")
	for _, d := range []string{folder, archive, filepath.Dir(file)} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Join(archive, "linked.pem"), file} {
		if err := os.WriteFile(path, haproxytest.Certificate(t, "a.test"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	linked := filepath.Join(folder, "linked.pem")
	if err := os.Symlink(filepath.Join(archive, "linked.pem"), linked); err != nil {
		t.Fatal(err)
	}
	r := newReader(Source{Paths: []string{folder, file}})
	if set, _ := r.Read(); len(set.Certificates) != 2 {
		t.Fatalf("read %v, %v", set.Certificates, set.Problems)
	}
	want := []string{folder, linked, filepath.Dir(file), file}
	if diff := cmp.Diff(want, slices.Compact(slices.Sorted(slices.Values(r.watched())))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
