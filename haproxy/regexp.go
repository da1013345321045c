// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// The limits of a Regexp. A step is one comparison of one byte.
const (
	MaxRegexp      = 1024      // bytes of its text
	maxRegexpSize  = 1000      // bytes that it compares, with counted repetitions written out
	regexpText     = 8 << 10   // length of the text for which maxRegexpSteps is the limit
	maxRegexpSteps = 1_000_000 // steps on the worst text of that length
)

// ParseRegexp parses the regular expression of a user, and normalizes it. It must match a
// whole value, and it works on bytes: "." matches one byte of a character beyond ASCII.
// HAProxy evaluates it in linear time, with the same result as Go. ParseRegexp accepts what
// Go's regexp package accepts, except for classes of many characters beyond ASCII, for anchors
// other than those at the beginning and the end, which have no effect, and for expressions
// for which PCRE2 may need more than linear time. The error names the part of the
// expression that is rejected, and the reason; the caller adds the expression.
func ParseRegexp(text string) (Regexp, error) {
	root, err := parseRegexp(text)
	if err != nil {
		return "", err
	}
	normal := root.text()
	if len(normal) > MaxRegexp {
		return "", fmt.Errorf("normalized, it has more than %d bytes", MaxRegexp)
	}
	if _, err := parseRegexp(normal); err != nil { // it must be readable again
		return "", err
	}
	return Regexp(normal), nil
}

// parseRegexp returns the tree of an expression, analyzed for PCRE2.
func parseRegexp(text string) (*regexpNode, error) {
	switch {
	case text == "":
		return nil, errors.New("it is empty")
	case len(text) > MaxRegexp:
		return nil, fmt.Errorf("it has more than %d bytes", MaxRegexp)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, unreadable(err)
	}
	root, err := readRegexp(parsed)
	if err != nil {
		return nil, err
	}
	steps, err := analyzeRegexp(root)
	if err != nil {
		return nil, err
	}
	if steps.at(regexpText) > maxRegexpSteps {
		return nil, fmt.Errorf("it can take more than %d steps for a text of %d KB", maxRegexpSteps, regexpText>>10)
	}
	return root, nil
}

// unreadable returns the reason for which Go does not parse an expression.
func unreadable(err error) error {
	parse, ok := errors.AsType[*syntax.Error](err)
	switch {
	case !ok:
		return err
	case parse.Code == syntax.ErrInvalidPerlOp && strings.HasPrefix(parse.Expr, "(?"), strings.HasPrefix(parse.Expr, "(?<!"), strings.HasPrefix(parse.Expr, "(?<="):
		return fmt.Errorf("%q: look-around, conditions and other extensions of Perl are not supported", parse.Expr)
	case parse.Code == syntax.ErrInvalidEscape && len(parse.Expr) == 2 && '1' <= parse.Expr[1] && parse.Expr[1] <= '9':
		return fmt.Errorf("%q: backreferences are not supported", parse.Expr)
	}
	return fmt.Errorf("%q: %s", parse.Expr, parse.Code)
}

// Matches reports whether the whole value matches. A Regexp that ParseRegexp does not
// accept matches nothing.
func (r Regexp) Matches(value string) bool {
	root, err := parseRegexp(string(r))
	if err != nil {
		return false
	}
	compiled, err := regexp.Compile(`\A(?:` + root.latin1() + `)\z`)
	return err == nil && compiled.MatchString(latin1(value))
}

// Until returns the expression for PCRE2, for a value that is followed by the byte end and
// does not contain it. The byte before the value, and end, must not be a letter, a digit or
// "_". All loops over groups are possessive: JIT code of PCRE2 matches nothing if its stack
// of 32 KB is full, and HAProxy does not report it. A Regexp that ParseRegexp does not
// accept matches nothing.
func (r Regexp) Until(end byte) string {
	root, err := parseRegexp(string(r))
	if err != nil {
		return "(?!)"
	}
	return root.pcre(end)
}

// latin1 returns a text with one character for each byte of s.
func latin1(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}
