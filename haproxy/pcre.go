// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"strings"
)

// quotePCRE returns a regular expression that matches s alone.
func quotePCRE(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isAlphanumeric(c) || c == '_' || c == '/' || c == '=' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}

// quoteQuery is quotePCRE for the name or the value of a parameter of a query, which may
// be encoded there, as decodeParameter decodes it. Characters of delimiters are always
// encoded.
func quoteQuery(s, delimiters string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		encoded := "%"
		for _, digit := range fmt.Appendf(nil, "%02X", c) {
			if digit >= 'A' {
				encoded += fmt.Sprintf("[%c%c]", digit, digit|0x20)
			} else {
				encoded += string(rune(digit))
			}
		}
		switch {
		case c == ' ':
			fmt.Fprintf(&b, `(?:\x2b|%s)`, encoded)
		case c == '%':
			fmt.Fprintf(&b, `(?:%s|%%(?![0-9A-Fa-f]{2}))`, encoded)
		case c < ' ' || c == '+' || strings.IndexByte(delimiters, c) >= 0:
			b.WriteString(encoded)
		default:
			fmt.Fprintf(&b, "(?:%s|%s)", quotePCRE(string(s[i:i+1])), encoded)
		}
	}
	return b.String()
}
