// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"io"

	"golang.org/x/sys/unix"
)

// TerminalWidth is how many columns out has, zero if it is no terminal.
func TerminalWidth(out io.Writer) int {
	file, ok := out.(interface{ Fd() uintptr })
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	switch {
	case err != nil:
		return 0
	case size.Col == 0:
		return 80 // it does not know either
	}
	return int(size.Col)
}
