// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// randomRegexp returns a random expression, and texts that are likely to match it.
func randomRegexp(r *rand.Rand, depth int) string {
	atom := func() string {
		return []string{"a", "b", "c", "ab", "/", "-", "[a-c]", "[^/]", "[^a]", ".", "[b-d]", "(?i:ab)", `\d`, "1", `\b`, "ä", `\.`, "foo"}[r.IntN(18)]
	}
	if depth == 0 {
		return atom()
	}
	switch r.IntN(8) {
	case 0, 1, 2:
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteString(randomRegexp(r, depth-1))
		}
		return b.String()
	case 3:
		return "(" + randomRegexp(r, depth-1) + "|" + randomRegexp(r, depth-1) + ")"
	case 4:
		return "(" + randomRegexp(r, depth-1) + ")" + []string{"*", "+", "?", "{2}", "{1,3}", "{2,}", "{0,40}"}[r.IntN(7)]
	case 5:
		return atom() + []string{"*", "+", "?", "*?", "{2,5}", "{3,}"}[r.IntN(6)]
	case 6:
		return ".*" + atom() + ".*"
	}
	return atom()
}

// randomText returns a text of about length bytes that repeats a few short ones.
func randomText(r *rand.Rand, length int) string {
	words := make([]string, 1+r.IntN(3))
	for i := range words {
		for range 1 + r.IntN(4) {
			words[i] += []string{"a", "b", "c", "d", "/", "-", "1", "f", "o", ".", "A", "ä", "foo", "ab"}[r.IntN(14)]
		}
	}
	var b strings.Builder
	for b.Len() < length {
		b.WriteString(words[r.IntN(len(words))])
	}
	return b.String()[:length]
}

// acceptedRegexps returns random expressions that ParseRegexp accepts, as written.
func acceptedRegexps(r *rand.Rand, n int) []string {
	var all []string
	for len(all) < n {
		text := randomRegexp(r, 1+r.IntN(4))
		if _, err := ParseRegexp(text); err == nil {
			all = append(all, text)
		}
	}
	return all
}

func isASCII(s string) bool {
	return strings.Trim(s, "\x00\x7f") == s && !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f })
}

func TestRegexpMatchesAsGoDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	matched := 0
	for _, text := range acceptedRegexps(r, 1500) {
		re, _ := ParseRegexp(text)
		if _, err := ParseRegexp(string(re)); err != nil {
			t.Fatalf("%s is normalized as %s, which is rejected: %v", text, re, err)
		}
		whole := regexp.MustCompile(`\A(?:` + text + `)\z`)
		for range 20 {
			value := randomText(r, r.IntN(12))
			if !isASCII(value) {
				continue
			}
			want := whole.MatchString(value)
			if got := re.Matches(value); got != want {
				t.Fatalf("%s (%s) with %q: got %t, want %t", text, re, value, got, want)
			}
			if want {
				matched++
			}
		}
	}
	if matched < 500 {
		t.Errorf("only %d values matched", matched)
	}
}

// backtracking evaluates a tree as PCRE2 does, and counts steps.
type backtracking struct {
	text  string
	steps int
}

// next is what follows a node.
type next func(at int) bool

func (b *backtracking) match(n *regexpNode, at int, then next) bool {
	switch n.op {
	case oneOf:
		b.steps++
		return at < len(b.text) && n.set.has(b.text[at]) && then(at+1)
	case boundary, notBoundary:
		b.steps++
		edge := b.word(at-1) != b.word(at)
		return edge == (n.op == boundary) && then(at)
	case alternation:
		for _, branch := range n.subs {
			if b.sequence(branch.subs, at, then) {
				return true
			}
		}
		return false
	case sequence:
		return b.sequence(n.subs, at, then)
	}
	if n.max < 0 && (n.pcre2.possessive || n.pcre2.guard != nil) {
		return b.possessive(n, at, then)
	}
	return b.repeat(n, at, 0, then)
}

func (b *backtracking) word(at int) bool {
	return at >= 0 && at < len(b.text) && (isAlphanumeric(b.text[at]) || b.text[at] == '_')
}

func (b *backtracking) sequence(all []*regexpNode, at int, then next) bool {
	if len(all) == 0 {
		return then(at)
	}
	n := all[0]
	if k := max(0, n.pcre2.first); k > 0 {
		first := -1
		lazy := func(at int) bool {
			return b.sequence(all[1:k], at, func(at int) bool { first = at; return true })
		}
		set, _ := n.unlimited()
		for i := 0; ; i++ {
			if i >= n.min && lazy(at+i) {
				return b.sequence(all[k:], first, then)
			}
			b.steps++
			if at+i >= len(b.text) || !set.has(b.text[at+i]) {
				return false
			}
		}
	}
	return b.match(n, at, func(at int) bool { return b.sequence(all[1:], at, then) })
}

func (b *backtracking) repeat(n *regexpNode, at, count int, then next) bool {
	if set, ok := n.single(); ok { // without recursion
		end := at
		for end < len(b.text) && set.has(b.text[end]) && (n.max < 0 || end-at < n.max) {
			b.steps++
			end++
		}
		if n.max < 0 || end-at < n.max {
			b.steps++
		}
		for ; end-at >= n.min; end-- {
			if then(end) {
				return true
			}
		}
		return false
	}
	if n.max < 0 || count < n.max {
		if b.sequence(n.subs[0].subs, at, func(at int) bool { return b.repeat(n, at, count+1, then) }) {
			return true
		}
	}
	return count >= n.min && then(at)
}

func (b *backtracking) possessive(n *regexpNode, at int, then next) bool {
	for count := 0; ; count++ {
		if count >= n.min && n.pcre2.guard != nil && b.rest(n.pcre2.guard, at) {
			break
		}
		if !b.sequence(n.subs[0].subs, at, func(end int) bool { at = end; return true }) {
			if count < n.min {
				return false
			}
			break
		}
	}
	return then(at)
}

func (b *backtracking) rest(r *regexpRest, at int) bool {
	var all []*regexpNode
	for ; r != nil && r.node != nil; r = r.next {
		all = append(all, r.node)
	}
	return b.sequence(all, at, func(at int) bool { return at == len(b.text) })
}

func TestBacktrackingIsLinear(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	texts := slices.Concat(acceptedRegexps(r, 250), []string{
		`.*foo.*bar.*baz`, `/static/.*/[^/]+\.js`, `(/[^/]+)*/edit`, `([a-z]+/)*end`, `(.*/)?[a-z]+`, `(ab|cd|[e-z]1)*x`, `v?\d+(\.\d+)*(-[a-z0-9]+)?`,
		`[a-z]{1,8}[a-z0-9]*`, `.*` + strings.Repeat("a", 60), `(a{1,3}b){2,9}`, `(a?b){0,40}c`, `.*\.(png|jpe?g|gif)`,
	})
	for _, text := range texts {
		root, err := parseRegexp(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		bound, err := analyzeRegexp(root)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		re := Regexp(root.text())
		for i := range 8 {
			length := []int{7, 20, 1000, regexpText}[i/2]
			value := randomText(r, length)
			if strings.Contains(text, "60") || i%2 == 1 && len(text) < 40 {
				value = strings.Repeat(strings.Trim(text, `.*()[]+?{}\|^`)+"a", length)[:length]
			}
			b := backtracking{text: value}
			got := b.sequence(root.subs, 0, func(at int) bool { return at == len(value) })
			if want := re.Matches(value); got != want {
				t.Fatalf("%s, for PCRE2 %s, with %s: got %t, want %t", text, root.pcre('&'), shorten(value), got, want)
			}
			if most := bound.at(length); b.steps > most {
				t.Errorf("%s with %s: %d steps, but the analysis found at most %d", text, shorten(value), b.steps, most)
			}
		}
	}
}

func FuzzRegexp(f *testing.F) {
	f.Add(`(/[a-z]+)*/edit`, "/a/b/edit")
	f.Add(`.*foo(a|b)*?.*`, "xfooab")
	f.Add(`(?i)\Qa.b\E[^k]{2,}\b`, "A.Bxy")
	f.Add(`^(^a|b$)$`, "a")
	f.Add(`(ä|([b-d]|(.?)*))`, "b")
	f.Fuzz(func(t *testing.T, text, value string) {
		re, err := ParseRegexp(text)
		if err != nil || !isASCII(value) || len(value) > regexpText || strings.ContainsAny(value, "\n\r") {
			return
		}
		root, err := parseRegexp(text)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := regexp.Compile(`\A(?:` + text + `)\z`)
		if err != nil {
			t.Skip(err)
		}
		b := backtracking{text: value}
		pcre2 := b.sequence(root.subs, 0, func(at int) bool { return at == len(value) })
		want := whole.MatchString(value)
		if got := re.Matches(value); got != want || pcre2 != want {
			t.Errorf("%q with %q: Go says %t, %q says %t, and PCRE2 %t", text, value, want, re, got, pcre2)
		}
		if b.steps > maxRegexpSteps {
			t.Errorf("%q with %q takes %d steps", text, value, b.steps)
		}
		if _, err := ParseRegexp(string(re)); err != nil {
			t.Errorf("%q is normalized as %q, which is rejected: %v", text, re, err)
		}
	})
}
