// SPDX-License-Identifier: Apache-2.0

package check

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// blamed returns the backends of s, sorted, that the output of "haproxy -c" refers to: by a
// line of path, which was rendered from s, or by name. A line of a class refers to all
// backends of the class, and one of a TCP frontend to its backend.
func blamed(out, path string, s haproxy.State) []string {
	names := map[string]bool{}
	quoted := regexp.MustCompile(`'([^'/\s]+)`) // a name, also before a slash and the name of a server
	for _, m := range quoted.FindAllStringSubmatch(out, -1) {
		names[m[1]] = true
	}
	for _, section := range sectionsIn(out, path) {
		switch section.Kind {
		case "backend":
			names[section.Name] = true
		case "frontend":
			for _, f := range s.Frontends {
				if f.Name == section.Name {
					names[f.Backend] = true
				}
			}
		case "defaults":
			for _, b := range s.Backends.All() {
				if cfgfile.Class(b.Policy) == section.Name {
					names[b.Name] = true
				}
			}
		}
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool {
		_, ok := s.Backend(name)
		return !ok
	})
	return slices.Sorted(maps.Keys(names))
}

// sectionsIn returns the sections of path that the output has lines of.
func sectionsIn(out, path string) []cfgfile.Section {
	var lines []int
	position := regexp.MustCompile(regexp.QuoteMeta(path) + `:(\d+)`)
	for _, m := range position.FindAllStringSubmatch(out, -1) {
		if n, err := strconv.Atoi(m[1]); err == nil {
			lines = append(lines, n)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	sections, _ := cfgfile.SectionsAt(file, lines) // those before an error
	return sections
}
