// SPDX-License-Identifier: Apache-2.0

// Command prose finds wording that is not plain technical English. It prints a line per
// finding, with the words to use instead, and exits with 1 if there is a finding. "make
// lint" runs it; the Debian package does not contain it.
//
//	prose [-comments] [FOLDER | FILE]...
//
// It reads the manuals, the examples, the status page, and every string in the Go code
// that is linked into podgate: help, errors, log messages, Problems. With arguments it
// prints only the findings in these files and folders. With -comments it also reads the
// comments of all Go files.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	comments := flag.Bool("comments", false, "read the comments of Go files too")
	flag.Parse()
	count, err := run(".", *comments, flag.Args(), os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(2)
	}
	if count > 0 {
		fmt.Fprintf(os.Stderr, "prose: %d findings\n", count)
		os.Exit(1)
	}
}

// run prints the findings below root, limited to only unless that is empty, and returns
// their number.
func run(root string, comments bool, only []string, out io.Writer) (int, error) {
	sources := []func(string) ([]text, error){manuals, product}
	if comments {
		sources = append(sources, allComments)
	}
	var texts []text
	for _, read := range sources {
		more, err := read(root)
		if err != nil {
			return 0, err
		}
		texts = append(texts, more...)
	}
	var all []finding
	used := make(map[exception]bool)
	for _, t := range texts {
		for _, f := range t.find(rules()) {
			if e, ok := excuse(f); ok {
				used[e] = true
			} else if len(only) == 0 || slices.ContainsFunc(only, func(o string) bool { return within(f.file, o) }) {
				all = append(all, f)
			}
		}
	}
	for _, e := range exceptions() {
		if !used[e] && len(only) == 0 {
			all = append(all, finding{file: "packaging/prose/exceptions.go", line: 1, words: e.words, instead: "matches no finding in " + e.file + " (" + e.reason + "): remove it"})
		}
	}
	slices.SortFunc(all, func(a, b finding) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line)) })
	for _, f := range all {
		fmt.Fprintln(out, f)
	}
	return len(all), nil
}

// within reports whether file is path or is in the folder path, such as
// "./daemon/..." or "daemon".
func within(file, path string) bool {
	path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(path, "./"), "..."), "/")
	return path == "" || file == path || strings.HasPrefix(file, path+"/")
}
