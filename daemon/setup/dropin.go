// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// dropinFile is the only file below /etc that podgate writes.
const dropinFile = "/etc/systemd/system/" + unitName + ".d/podgate.conf"

// options is the environment variable of Debian's unit for additional options.
const options = "EXTRAOPTS"

const dropinText = `# Written by "podgate setup haproxy", removed by "podgate setup haproxy --undo" and
# when the package is purged. Put your own settings in another file.

[Service]
# The last -S is the master CLI through which podgate reloads HAProxy. The last -f
# is podgate's folder, which HAProxy loads after your own file.
Environment="%s=%s"
`

// sameSettings reports whether two drop-ins differ only in comments and empty lines,
// as those of two versions of podgate may.
func sameSettings(a, b string) bool { return slices.Equal(settings(a), settings(b)) }

func settings(dropin string) (lines []string) {
	for line := range strings.Lines(dropin) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// missingOptions returns the options for podgate that a command line lacks.
func missingOptions(words []string, folder, socket string) (missing []string) {
	opens := func(value string) bool {
		path, _, _ := strings.Cut(strings.TrimPrefix(value, "unix@"), ",")
		return path == socket
	}
	if !slices.ContainsFunc(flagValues("-S", words), opens) {
		missing = append(missing, "-S", socket+",mode,660,group,haproxy")
	}
	if !loads(words, folder) {
		missing = append(missing, "-f", folder)
	}
	return missing
}

// loads reports whether a command line has HAProxy load the folder.
func loads(words []string, folder string) bool {
	return slices.ContainsFunc(flagValues("-f", words), func(value string) bool { return filepath.Clean(value) == folder })
}

// newDropin returns the drop-in that sets these options.
func newDropin(words []string) string {
	return fmt.Sprintf(dropinText, options, strings.Join(words, " "))
}
