// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"strings"
)

// checkWord is the last guard before a value becomes one word of a command:
// HAProxy knows no quotes, so a value with a blank, a separator or an escape
// would be another command. Values are parsed into types of their own long
// before; one that is refused here is a mistake of ours.
func checkWord(what, value string) error {
	if value == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if strings.ContainsFunc(value, breaksWord) || strings.Contains(value, "<<") {
		return fmt.Errorf("%s %q does not go on a command line", what, value)
	}
	return nil
}

// checkLine is checkWord for several words that a single blank separates.
func checkLine(what, value string) error {
	for word := range strings.SplitSeq(value, " ") {
		if err := checkWord(what, word); err != nil {
			return err
		}
	}
	return nil
}

func breaksWord(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == ';' || r == '\\' || r == '"' || r == '\''
}
