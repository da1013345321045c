// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// dropinFile is the one file of systemd's that is ours.
const dropinFile = "/etc/systemd/system/" + unitName + ".d/podgate.conf"

// options is the variable that Debian's unit has for further arguments.
const options = "EXTRAOPTS"

const dropinText = `# Written by "podgate setup haproxy", removed by "podgate setup haproxy --undo" and
# when the package is purged. Put your own settings in another file.

[Service]
# The last -S is the master CLI through which podgate reloads HAProxy. The last -f
# is podgate's folder, which HAProxy loads after your own file.
Environment="%s=%s"
`

// sameSettings reports whether two drop-ins differ in nothing but comments and
// empty lines, so that a drop-in of another version of podgate counts.
func sameSettings(a, b string) bool { return slices.Equal(settings(a), settings(b)) }

func settings(dropin string) (lines []string) {
	for line := range strings.Lines(dropin) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// needed are the words that HAProxy lacks among those that it is started with.
func needed(words []string, folder, socket string) []string {
	var add []string
	if !names(words, socket) {
		add = append(add, "-S", socket+",mode,660,group,haproxy")
	}
	if !loads(words, folder) {
		add = append(add, "-f", folder)
	}
	return add
}

// names reports whether a master CLI at that socket is among the words.
func names(words []string, socket string) bool {
	return slices.ContainsFunc(valuesOf("-S", words), func(value string) bool {
		path, _, _ := strings.Cut(strings.TrimPrefix(value, "unix@"), ",")
		return path == socket
	})
}

// loads reports whether the folder is among the words.
func loads(words []string, folder string) bool {
	return slices.ContainsFunc(valuesOf("-f", words), func(value string) bool { return filepath.Clean(value) == folder })
}

// dropin is the text of the drop-in that adds those words to what there is.
func dropin(words, add []string) string {
	return fmt.Sprintf(dropinText, options, strings.Join(slices.Concat(words, add), " "))
}
