// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"bufio"
	"io"
	"slices"
)

// SectionsAt returns the headers of the sections of a configuration file of Render that
// these lines belong to, each once, in the order of the file. The first line of the file is
// line 1.
func SectionsAt(file io.Reader, lines []int) ([]Section, error) {
	wanted := slices.Compact(slices.Sorted(slices.Values(lines)))
	var sections []Section
	present := "" // the header, until it is returned
	in := bufio.NewScanner(file)
	in.Buffer(nil, maxLine)
	for n := 1; len(wanted) > 0 && in.Scan(); n++ {
		if l := in.Bytes(); len(l) > 0 && l[0] != ' ' && l[0] != '#' {
			present = string(l)
		}
		if wanted[0] != n {
			continue
		}
		wanted = wanted[1:]
		if present != "" {
			sections = append(sections, parseHeader(present))
			present = "" // once
		}
	}
	return sections, in.Err()
}

// maxLine is longer than the lines of a file of Render, in bytes.
const maxLine = 1 << 20
