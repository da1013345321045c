// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// checkWord checks that a value is one word of a command. The socket has no quotes, so
// that a blank, a separator or an escape in a value would result in another command.
// The parsers of the values reject such values before, so that an error is a bug in
// podgate.
func checkWord(what, value string) error {
	if value == "" {
		return bugError(what + " is empty")
	}
	i := strings.IndexFunc(value, breaksWord)
	if i < 0 {
		i = strings.Index(value, "<<")
	}
	if i < 0 {
		return nil
	}
	char, _ := utf8.DecodeRuneInString(value[i:])
	return bugError(fmt.Sprintf("%s %q contains %q, which a command must not contain", what, value, char))
}

// bugError is an error that only a bug in podgate causes.
type bugError string

func (e bugError) Error() string { return string(e) + " (this is a bug in podgate, please report it)" }

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
