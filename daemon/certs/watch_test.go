// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy/haproxytest"
)

// TestOnlyWhatCountsIsWatched has the folder above one of certificates, which may
// be /tmp or /var/log, count for nothing but that folder.
func TestOnlyWhatCountsIsWatched(t *testing.T) {
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
	if err := os.Symlink(filepath.Join(archive, "linked.pem"), filepath.Join(folder, "linked.pem")); err != nil {
		t.Fatal(err)
	}
	r := NewReader(Source{Paths: []string{folder, file}})
	if set, _ := r.Read(); len(set.Certificates) != 2 {
		t.Fatalf("read %v, %v", set.Certificates, set.Problems)
	}
	want := map[string]bool{folder: true, archive: true, file: true, filepath.Dir(file): true, dir: false}
	if diff := cmp.Diff(want, r.folders()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func BenchmarkFolders1000(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.pem", i)), []byte("x"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	r := NewReader(Source{Paths: []string{dir}})
	r.Read()
	for b.Loop() {
		r.folders()
	}
}
