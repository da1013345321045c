// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecurityPageNamesModulesAndFiles checks that packaging/doc/security.md names the
// modules of go.mod and the files that podgate writes.
func TestSecurityPageNamesModulesAndFiles(t *testing.T) {
	page, err := os.ReadFile("../../packaging/doc/security.md")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	direct := 0
	for line := range strings.Lines(string(mod)) {
		words := strings.Fields(line)
		if strings.HasPrefix(line, "\t") && len(words) == 2 {
			direct++
			if !strings.Contains(string(page), "`"+words[0]+"`") {
				t.Errorf("security.md does not name module %s", words[0])
			}
		}
	}
	if direct == 0 {
		t.Error("go.mod names no module")
	}
	b, _ := boxWithToken(t)
	files, err := filepath.Glob(filepath.Join(b.HAProxy.Folder, "podgate.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files: %q, %v", files, err)
	}
	for _, file := range files {
		if !strings.Contains(string(page), "`"+filepath.Base(file)+"`") {
			t.Errorf("security.md does not name %s", filepath.Base(file))
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %o, %v, want 640", file, info.Mode().Perm(), err)
		}
	}
}
