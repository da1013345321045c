// SPDX-License-Identifier: Apache-2.0

// Command copyright writes debian/copyright: standard input, and a paragraph for each Go
// module that is linked into podgate, from the licence file of the module. The build of
// the Debian package runs it; the package does not contain it.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout, "./cmd/podgate"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(own io.Reader, out io.Writer, program string) error {
	if _, err := io.Copy(out, own); err != nil {
		return err
	}
	all, err := modules(program)
	if err != nil {
		return err
	}
	for _, m := range all {
		text, err := os.ReadFile(m.licence)
		if err != nil {
			return err
		}
		notice, err := os.ReadFile(filepath.Join(filepath.Dir(m.licence), "NOTICE"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := io.WriteString(out, paragraph(m.path, string(text), string(notice))); err != nil {
			return err
		}
	}
	return nil
}

// module is a Go module that is linked into the program.
type module struct{ path, licence string } // licence is the path of the file

// modules returns the modules of the program except its own, sorted by path.
func modules(program string) ([]module, error) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", program)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []module
	for _, line := range slices.Compact(slices.Sorted(strings.Lines(string(out)))) { // a line per package
		path, dir, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		licences, err := filepath.Glob(filepath.Join(dir, "LICEN[SC]E*"))
		if err != nil {
			return nil, err
		}
		more, err := filepath.Glob(filepath.Join(dir, "COPYING*"))
		if err != nil {
			return nil, err
		}
		licences = append(licences, more...)
		if len(licences) == 0 {
			return nil, fmt.Errorf("module %s has no licence in %s", path, dir)
		}
		all = append(all, module{path, licences[0]})
	}
	return all, nil
}

// paragraph returns the paragraph of a module from the texts of its licence and of its
// NOTICE, which may be empty. Licences that Debian has in /usr/share/common-licenses
// are named, all others are quoted in full.
func paragraph(path, licence, notice string) string {
	b := new(strings.Builder)
	fmt.Fprintf(b, "\nFiles: vendor/%s/*\nCopyright: %s\n", path, strings.Join(holders(path, licence+"\n"+notice), "\n "))
	switch {
	case strings.Contains(licence, "Mozilla Public License") && strings.Contains(licence, "2.0"):
		b.WriteString("License: MPL-2.0\n")
	case strings.Contains(licence, "Apache License") && strings.Contains(licence, "Version 2.0"):
		b.WriteString("License: Apache-2.0\n")
	default:
		fmt.Fprintf(b, "License: of-%s\n%s", strings.ReplaceAll(path, "/", "-"), indented(licence))
	}
	if notice != "" {
		fmt.Fprintf(b, "Comment: its NOTICE says\n%s", indented(notice))
	}
	return b.String()
}

// holders returns the text after each "Copyright", without the placeholder at the end of
// the Apache licence.
func holders(path, text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		holder, ok := strings.CutPrefix(strings.TrimSpace(line), "Copyright ")
		holder = strings.TrimPrefix(holder, "(c) ")
		if ok && !strings.ContainsAny(holder, "[{") && strings.ContainsAny(holder, "0123456789©") && !slices.Contains(all, holder) {
			all = append(all, holder)
		}
	}
	if len(all) == 0 {
		all = []string{"The authors of " + path}
	}
	return all
}

// indented returns text as continuation lines of a field (deb-src-control(5)): each begins
// with a blank, and an empty one is a dot.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" {
			line = "."
		}
		b.WriteString(" " + line + "\n")
	}
	return b.String()
}
