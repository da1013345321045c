// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestInternalsNamesEveryPackage checks that the table in internals.md has a row for each
// package of the tree, and no other row.
func TestInternalsNamesEveryPackage(t *testing.T) {
	documented := map[string]bool{}
	for line := range strings.Lines(page(t, "packaging/doc/internals.md")) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `") && len(cells) == 3 {
			for _, name := range regexp.MustCompile("`([a-z/]+)`").FindAllStringSubmatch(cells[0], -1) {
				documented["podgate/"+name[1]] = true
			}
		}
	}
	for _, p := range goList(t, "./...") {
		if !documented[p.ImportPath] {
			t.Errorf("%s has no row", p.ImportPath)
		}
		delete(documented, p.ImportPath)
	}
	for name := range documented {
		t.Errorf("%s has a row and does not exist", name)
	}
}

// TestInternalsNamesFilesThatExist checks the files that internals.md names by a path, by
// a pattern or, after another file of the same folder, by the name alone.
func TestInternalsNamesFilesThatExist(t *testing.T) {
	names := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			names[entry.Name()] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("`([A-Za-z0-9_*.-]+/)*([A-Za-z0-9_*-]+\\.(go|txtar|service|conf|sh))`").FindAllStringSubmatch(page(t, "packaging/doc/internals.md"), -1)
	if len(found) < 20 {
		t.Errorf("internals.md names only %d files", len(found))
	}
	for _, m := range found {
		path, name := strings.Trim(m[0], "`"), m[2]
		if !strings.Contains(path, "/") {
			if !names[name] {
				t.Errorf("%s does not exist", path)
			}
			continue
		}
		if files, err := filepath.Glob("../../" + path); err != nil || len(files) == 0 {
			t.Errorf("%s does not exist", path)
		}
	}
}
