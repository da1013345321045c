// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/haproxy/check"
)

// sectionKinds are the keywords that begin a section with a name (configuration.txt
// 1.2 and 12).
var sectionKinds = []string{
	"frontend", "backend", "listen", "defaults", "peers", "userlist", "resolvers", "mailers", "cache", "ring", "log-forward",
	"log-profile", "http-errors", "fcgi-app", "program", "crt-store", "acme",
}

// sections returns the sections with a name of the operator's files, sorted by name. It
// skips a file that cannot be read, which haproxy -c reports.
func sections(files []string) []compile.Section {
	var all []compile.Section
	for _, file := range files {
		paths := []string{file}
		if info, err := os.Stat(file); err == nil && info.IsDir() { // as HAProxy reads a folder
			paths, _ = filepath.Glob(filepath.Join(file, "*.cfg"))
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			all = append(all, parseSections(path, string(text))...)
		}
	}
	slices.SortStableFunc(all, func(a, b compile.Section) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func parseSections(file, text string) []compile.Section {
	var all []compile.Section
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || !slices.Contains(sectionKinds, words[0]) || words[1][0] == '#' {
			continue
		}
		name := strings.NewReplacer(`"`, "", "'", "", `\`, "").Replace(words[1])
		all = append(all, compile.Section{Kind: words[0], Name: name, File: file})
	}
	return all
}

// binds returns the addresses on which HAProxy listens because of the operator's files. If
// a file cannot be read, which haproxy -c reports, it returns those of the files before it.
func binds(files []string) []compile.Bind {
	var all []compile.Bind
	found, _ := check.HAProxy{Files: files}.Binds()
	for _, b := range found {
		all = append(all, compile.Bind{File: b.File, Addr: b.Addr, Ports: config.PortRange{First: b.First, Last: b.Last}})
	}
	return all
}
