// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"io"

	"golang.org/x/sys/unix"
)

// TerminalWidth returns the columns of out, zero if it is not a terminal.
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
		return 80 // the terminal does not know
	}
	return int(size.Col)
}
