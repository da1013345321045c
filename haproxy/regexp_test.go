// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"strings"
	"testing"
)

func TestParseRegexp(t *testing.T) {
	long := strings.Repeat("a", MaxRegexp+1)
	for _, row := range []struct{ name, text, want string }{
		{"a path", `/v[0-9]+/items`, `/v[0-9]+/items`},
		{"anchors have no effect", `^/a$`, `/a`},
		{"anchors of lines and texts as well", `(?m)\A^/a$\z`, `/a`},
		{"anchors at the edges of parts", `^(?:^|/x)a(?:$|/.*$)`, `(?:|/x)a(?:|/.*)`},
		{"an empty value", `^$`, `(?:)`},
		{"groups do not capture", `/(a|bc)/(?P<id>\d+)`, `/(?:a|bc)/[0-9]+`},
		{"common beginnings", `/(user|users|use)`, `/use(?:r(?:|s)|)`},
		{"letters in any case", `(?i)/a1k`, `/[Aa]1[Kk]`},
		{"classes in any case", `(?i)[^ks]`, `[^KSks]`},
		{"classes of Perl and POSIX", `\d\W[[:alpha:]]`, `[0-9][^0-9A-Z_a-z][A-Za-z]`},
		{"a newline is in no value", `(?s).[^\n]`, `..`},
		{"characters beyond ASCII", `ä+`, `(?:ä)+`},
		{"some characters beyond ASCII", `[aä]|ö`, `a|ä|ö`},
		{"a text that becomes longer", strings.Repeat(" ", 300), `error: normalized, it has more than 1024 bytes`},
		{"a quotation", `\Qa.b\E`, `a\.b`},
		{"blanks and control characters", "a b\t", `a\x20b\x09`},
		{"the edges of words", `\bfoo\B.*`, `\bfoo\B.*`},
		{"lazy repetition", `a*?b+?c??`, `a*b+c?`},
		{"a repetition of a repetition", `(a*)*`, `a*`},
		{"branches of one byte", `(a|b|[c-e])*`, `[a-e]*`},
		{"a repeated option", `(a?)+(b+)*`, `a*b*`},
		{"an optional part that may be empty", `a(b*)?`, `ab*`},

		{"a host of addresses", `([0-9]{1,3}\.){3}[0-9]{1,3}`, `(?:[0-9]{1,3}\.){3}[0-9]{1,3}`},
		{"segments", `(/[a-z]+)*`, `(?:/[a-z]+)*`},
		{"segments before a last one", `(/[^/]+)*/edit`, `(?:/[^/]+)*/edit`},
		{"a text in a text", `.*foo.*`, `.*foo.*`},
		{"texts in a text", `/.*foo.*bar[a-z].*x`, `/.*foo.*bar[a-z].*x`},
		{"a file in a folder", `/static/.*/[^/]+\.js`, `/static/.*/[^/]+\.js`},
		{"an extension", `.*\.(png|jpe?g|gif)`, `.*\.(?:png|jpe?g|gif)`},
		{"a path before the last segment", `(.*/)?[a-z]+`, `(?:.*/)?[a-z]+`},
		{"a version", `v?\d+(\.\d+)*(-[a-z0-9]+)?`, `v?[0-9]+(?:\.[0-9]+)*(?:-[0-9a-z]+)?`},
		{"a UUID", `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, `[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`},

		{"nothing", ``, `error: it is empty`},
		{"too much", long, `error: it has more than 1024 bytes`},
		{"a syntax error", `/(a`, `error: "/(a": missing closing )`},
		{"look-ahead", `(?=a)b`, `error: "(?=": look-around, conditions and other extensions of Perl are not supported`},
		{"look-behind", `(?<!a)b`, `error: "(?<!a)b": look-around, conditions and other extensions of Perl are not supported`},
		{"a backreference", `(a)\1`, `error: "\\1": backreferences are not supported`},
		{"a byte", `\C`, `error: "\\C": invalid escape sequence`},
		{"an anchor in the middle", `a^b`, `error: ^ or \A is not at the beginning`},
		{"an anchor in a repetition", `(a$)*`, `error: $ or \z is not at the end`},
		{"a class of Unicode", `\pN+`, `error: "[0-9²³¹¼-¾٠-٩۰-۹߀-߉०-९০-৯৴-৹੦-੯૦-૯୦-୯୲-୷"... contains more than 32 characters beyond ASCII, but not all of them`},
		{"a class without one character", `[^ä]`, `error: "[^ä]" contains more than 32 characters beyond ASCII, but not all of them`},
		{"a case beyond ASCII", `(?i)ä`, `error: "Ä": only letters of ASCII can match regardless of case`},
		{"a newline", `a\nb`, `error: '\n' is in no path, header or query`},
		{"a class without a match", `[\n\r]`, `error: "[\\n\\r]" matches no character of a path, a header or a query`},
		{"an empty class", `[^\x00-\x{10FFFF}]`, `error: "[^\\x00-\\x{10FFFF}]" matches no character of a path, a header or a query`},
		{"a count of counts", `((a{10}){10}){10}b`, `error: with its counted repetitions written out, it compares 1001 bytes, more than 1000`},
		{"a count that Go rejects", `a{1001}`, `error: "{1001}": invalid repeat count`},

		{"a repeated part that may be empty", `(a*b?)*`, `error: "(?:a*b?)*" repeats a part that may be empty`},
		{"a repetition in a repetition", `(a+b?)+`, `error: "a+" is in a repetition, and what follows it can begin with the same bytes`},
		{"branches that are equal", `(ab|[a-c]b)*`, `error: "(?:ab|[a-c]b)" is in a repetition, and a byte leaves the choice between two of its parts`},
		{"an option in a repetition", `(a?ab)*`, `error: "a?" is in a repetition, and what follows it can begin with the same bytes`},
		{"adjacent repetitions", `[a-z]*[a-f]*x`, `error: "[a-z]*" can match the same bytes as what follows it, "[a-f]*x"`},
		{"a repetition and a narrower one", `.*a[a-z]*1`, `error: ".*" can match the same bytes as what follows it, "a[a-z]*1"`},
		{"parts of different lengths before a repetition", `.*(a|bc)[a-z]*1`, `error: ".*" can match the same bytes as what follows it, "(?:a|bc)[a-z]*1"`},
		{"three repetitions", `.*/[^/]*[a-z]*`, `error: "[^/]*" can match the same bytes as what follows it, "[a-z]*"`},
		{"groups before what can be one of them", `(/[a-z]+)*/a.*`, `error: "(?:/[a-z]+)*" can begin with the same bytes as what follows it, "/a.*"`},
		{"many choices", strings.Repeat(`[a-c]?`, 30) + `b*`, `error: it can take more than 1000000 steps for a text of 8 KB`},
		{"a long text at every place", `.*` + strings.Repeat("a", 200), `error: it can take more than 1000000 steps for a text of 8 KB`},
	} {
		re, err := ParseRegexp(row.text)
		got := string(re)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != row.want {
			t.Errorf("%s: %s is\n%s, want\n%s", row.name, row.text, got, row.want)
		}
		if again, err := ParseRegexp(got); re != "" && (err != nil || again != re) {
			t.Errorf("%s: %s is parsed as %s, %v", row.name, re, again, err)
		}
	}
}

func TestRegexpUntilIsForPCRE2(t *testing.T) {
	for _, row := range []struct {
		name, text string
		end        byte
		want       string
	}{
		{"no class contains the end", `[^/]+.`, '&', `(?:[^\x00\x0a\x0d\x26/]+[^\x00\x0a\x0d\x26])(?=\x26)`},
		{"the end itself matches nothing", `a&?b`, '&', `(?:a(?!)?b)(?=\x26)`},
		{"a loop over groups is possessive", `(/[a-z]+)*`, '\r', `(?:(?:/[a-z]+)*+)(?=\x0d)`},
		{"a loop ends where the rest matches", `(/[a-z]+){2,}/edit`, '\r', `(?:(?:/[a-z]+){2}(?:(?!/edit\x0d)(?:/[a-z]+))*+/edit)(?=\x0d)`},
		{"the first place is final", `/.*foo.*bar.*`, '\r', `(?:/(?>[^\x00\x0a\x0d]*?foo)(?>[^\x00\x0a\x0d]*?bar)[^\x00\x0a\x0d]*)(?=\x0d)`},
		{"characters beyond ASCII are bytes", `ä#`, '\r', `(?:\xc3\xa4\x23)(?=\x0d)`},
		{"what is not accepted matches nothing", `(a+)+b(`, '\r', `(?!)`},
	} {
		if got := Regexp(row.text).Until(row.end); got != row.want {
			t.Errorf("%s: got  %s\nwant %s", row.name, got, row.want)
		}
	}
}
