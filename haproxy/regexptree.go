// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// regexpNode is a part of a regular expression over bytes. A branch of an alternation and
// the body of a repetition are sequences, and so is the whole expression. No element of a
// sequence is a sequence.
type regexpNode struct {
	op       regexpOp
	set      byteSet       // of oneOf
	subs     []*regexpNode // of a sequence, an alternation or a repetition (its body)
	min, max int           // of a repetition; max is -1 for no limit
	pcre2    regexpChoice  // of a repetition without limit
}

type regexpOp int

const (
	sequence regexpOp = iota
	oneOf             // one byte of a set
	alternation
	repetition
	boundary    // \b
	notBoundary // \B
)

// readRegexp converts a parsed expression.
func readRegexp(parsed *syntax.Regexp) (*regexpNode, error) {
	root, err := read(parsed, edges{begin: true, end: true})
	if err != nil {
		return nil, err
	}
	root = asSequence(root)
	if n := root.size(); n > maxRegexpSize {
		return nil, fmt.Errorf("with its counted repetitions written out, it compares %d bytes, more than %d", n, maxRegexpSize)
	}
	return root, nil
}

// edges is whether a part of an expression is at its beginning and at its end, where
// anchors have no effect.
type edges struct{ begin, end bool }

// read converts a part of an expression. The result is nil for an empty part.
func read(re *syntax.Regexp, at edges) (*regexpNode, error) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return nil, nil
	case syntax.OpLiteral:
		return readLiteral(re)
	case syntax.OpCharClass:
		return readClass(re)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return &regexpNode{op: oneOf, set: valueBytes()}, nil
	case syntax.OpBeginLine, syntax.OpBeginText:
		if !at.begin {
			return nil, errors.New(`^ or \A is not at the beginning`)
		}
		return nil, nil
	case syntax.OpEndLine, syntax.OpEndText:
		if !at.end {
			return nil, errors.New(`$ or \z is not at the end`)
		}
		return nil, nil
	case syntax.OpWordBoundary:
		return &regexpNode{op: boundary}, nil
	case syntax.OpNoWordBoundary:
		return &regexpNode{op: notBoundary}, nil
	case syntax.OpCapture:
		return read(re.Sub[0], at)
	case syntax.OpStar:
		return readRepetition(re, 0, -1, at)
	case syntax.OpPlus:
		return readRepetition(re, 1, -1, at)
	case syntax.OpQuest:
		return readRepetition(re, 0, 1, at)
	case syntax.OpRepeat:
		return readRepetition(re, re.Min, re.Max, at)
	case syntax.OpConcat:
		return readSequence(re, at)
	case syntax.OpAlternate:
		return readAlternation(re, at)
	}
	return nil, fmt.Errorf("%q matches nothing", re)
}

// readLiteral reads characters; those beyond ASCII are the bytes of their UTF-8.
func readLiteral(re *syntax.Regexp) (*regexpNode, error) {
	n := &regexpNode{}
	for _, r := range re.Rune {
		fold := re.Flags&syntax.FoldCase != 0
		if r >= utf8.RuneSelf && fold && unicode.SimpleFold(r) != r {
			return nil, fmt.Errorf("%q: only letters of ASCII can match regardless of case", string(r))
		}
		for _, b := range []byte(string(r)) {
			set := bytesOf(b)
			if fold && isLetter(b) {
				set = bytesOf(b|0x20, b&^0x20)
			}
			if !valueBytes().includes(set) {
				return nil, fmt.Errorf("%q is in no path, header or query", r)
			}
			n.subs = append(n.subs, &regexpNode{op: oneOf, set: set})
		}
	}
	return n, nil
}

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// maxBeyondASCII is the maximum number of characters beyond ASCII in a class that does not
// contain all of them.
const maxBeyondASCII = 32

// readClass reads a class of characters. U+017F and U+212A, which are "s" and "k"
// regardless of case, do not count with their letters.
func readClass(re *syntax.Regexp) (*regexpNode, error) {
	const most = unicode.MaxRune + 1 - utf8.RuneSelf
	var set byteSet
	beyond := 0
	has := map[rune]bool{}
	for i := 0; i < len(re.Rune); i += 2 {
		lo, hi := re.Rune[i], re.Rune[i+1]
		if lo < utf8.RuneSelf {
			set.add(byte(lo), byte(min(hi, utf8.RuneSelf-1)))
		}
		beyond += int(max(0, hi-max(lo, utf8.RuneSelf)+1))
		for _, r := range []rune{longS, kelvin} {
			has[r] = has[r] || lo <= r && r <= hi
		}
	}
	full := beyond > most/2
	for r, letter := range map[rune]byte{longS: 's', kelvin: 'k'} {
		if both := set.has(letter); both == set.has(letter&^0x20) && both == has[r] && has[r] != full {
			if has[r] = false; full {
				beyond++
			} else {
				beyond--
			}
		}
	}
	switch {
	case beyond == most:
		set.add(utf8.RuneSelf, 255)
	case beyond > maxBeyondASCII:
		return nil, fmt.Errorf("%s contains more than %d characters beyond ASCII, but not all of them", shorten(re.String()), maxBeyondASCII)
	}
	n := &regexpNode{op: alternation}
	if set = set.and(valueBytes()); set != (byteSet{}) {
		n.subs = append(n.subs, asSequence(&regexpNode{op: oneOf, set: set}))
	}
	if !full {
		n.addBeyondASCII(re.Rune, has)
	}
	switch len(n.subs) {
	case 0:
		return nil, fmt.Errorf("%q matches no character of a path, a header or a query", re)
	case 1:
		return n.subs[0], nil
	}
	return n, nil
}

// addBeyondASCII adds a branch for each character beyond ASCII in a list of ranges, except
// for U+017F and U+212A if they are not in counted.
func (n *regexpNode) addBeyondASCII(ranges []rune, counted map[rune]bool) {
	for i := 0; i < len(ranges); i += 2 {
		for r := max(ranges[i], utf8.RuneSelf); r <= ranges[i+1]; r++ {
			if (r == longS || r == kelvin) && !counted[r] {
				continue
			}
			character := &regexpNode{}
			for _, b := range []byte(string(r)) {
				character.subs = append(character.subs, &regexpNode{op: oneOf, set: bytesOf(b)})
			}
			n.subs = append(n.subs, character)
		}
	}
}

const (
	longS  = '\u017f'
	kelvin = '\u212a'
)

// shorten cuts the text of an error.
func shorten(text string) string {
	const most = 80
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q...", strings.ToValidUTF8(text[:most], ""))
}

func readRepetition(re *syntax.Regexp, least, most int, at edges) (*regexpNode, error) {
	if most == 0 {
		return nil, nil
	}
	if most != 1 {
		at = edges{}
	}
	body, err := read(re.Sub[0], at)
	switch {
	case err != nil:
		return nil, err
	case body == nil:
		return nil, nil
	case least == 1 && most == 1:
		return body, nil
	}
	body = asSequence(body)
	if inner := body.only(); inner != nil && most < 0 && least <= 1 && inner.min <= 1 && (inner.max < 0 || inner.max == 1) {
		least, body = least*inner.min, inner.subs[0] // (x+)* is x*
	}
	if shortest, _ := body.lengths(); shortest == 0 {
		switch {
		case most == 1 && body.hasBoundary():
			return &regexpNode{op: alternation, subs: []*regexpNode{body, {}}}, nil
		case most == 1:
			return body, nil
		}
		return nil, fmt.Errorf("%q repeats a part that may be empty", body.repeated(least, most))
	}
	return &regexpNode{op: repetition, subs: []*regexpNode{body}, min: least, max: most}, nil
}

// hasBoundary reports whether n contains \b or \B, so that it may not match the empty text
// although nothing in it needs a byte.
func (n *regexpNode) hasBoundary() bool {
	return n.op == boundary || n.op == notBoundary || slices.ContainsFunc(n.subs, (*regexpNode).hasBoundary)
}

// only returns the repetition that is the only element of a sequence, or nil.
func (n *regexpNode) only() *regexpNode {
	if len(n.subs) != 1 || n.subs[0].op != repetition {
		return nil
	}
	return n.subs[0]
}

func readSequence(re *syntax.Regexp, at edges) (*regexpNode, error) {
	n := &regexpNode{}
	for i, sub := range re.Sub {
		here := edges{begin: at.begin && n.isEmpty(), end: at.end && onlyAnchors(re.Sub[i+1:])}
		element, err := read(sub, here)
		if err != nil {
			return nil, err
		}
		if element != nil {
			n.subs = append(n.subs, asSequence(element).subs...)
		}
	}
	return n, nil
}

func (n *regexpNode) isEmpty() bool { return n.op == sequence && len(n.subs) == 0 }

// onlyAnchors reports whether all parts are anchors of the end, or empty.
func onlyAnchors(parts []*syntax.Regexp) bool {
	for _, p := range parts {
		switch p.Op {
		case syntax.OpEndLine, syntax.OpEndText, syntax.OpEmptyMatch:
		case syntax.OpCapture, syntax.OpConcat:
			if !onlyAnchors(p.Sub) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func readAlternation(re *syntax.Regexp, at edges) (*regexpNode, error) {
	n := &regexpNode{op: alternation}
	for _, sub := range re.Sub {
		branch, err := read(sub, at)
		if err != nil {
			return nil, err
		}
		n.subs = append(n.subs, asSequence(branch))
	}
	return n, nil
}

// asSequence returns n as a sequence; nil is the empty one.
func asSequence(n *regexpNode) *regexpNode {
	switch {
	case n == nil:
		return &regexpNode{}
	case n.op == sequence:
		return n
	}
	return &regexpNode{subs: []*regexpNode{n}}
}

// single returns the set of a repetition of one byte.
func (n *regexpNode) single() (byteSet, bool) {
	if n.op != repetition || len(n.subs[0].subs) != 1 || n.subs[0].subs[0].op != oneOf {
		return byteSet{}, false
	}
	return n.subs[0].subs[0].set, true
}

// unlimited returns the set of a repetition of one byte without limit.
func (n *regexpNode) unlimited() (byteSet, bool) {
	set, ok := n.single()
	return set, ok && n.max < 0
}

// lengths returns the lengths of the shortest and the longest text that n matches; longest
// is -1 for no limit.
func (n *regexpNode) lengths() (shortest, longest int) {
	switch n.op {
	case oneOf:
		return 1, 1
	case sequence:
		for _, sub := range n.subs {
			least, most := sub.lengths()
			shortest += least
			if longest >= 0 && most >= 0 {
				longest += most
			} else {
				longest = -1
			}
		}
	case alternation:
		shortest, longest = n.subs[0].lengths()
		for _, sub := range n.subs[1:] {
			least, most := sub.lengths()
			shortest = min(shortest, least)
			if longest >= 0 && most >= 0 {
				longest = max(longest, most)
			} else {
				longest = -1
			}
		}
	case repetition:
		least, most := n.subs[0].lengths()
		if n.max < 0 || most < 0 {
			return n.min * least, -1
		}
		return n.min * least, n.max * most
	}
	return shortest, longest
}

// size is the number of bytes that n compares, with repetitions written out.
func (n *regexpNode) size() int {
	if n.op == oneOf {
		return 1
	}
	size := 0
	for _, sub := range n.subs {
		size += sub.size()
	}
	if n.op == repetition {
		size *= max(1, n.min, n.max)
	}
	return size
}

// firsts returns the bytes with which a text of n can begin, and how many comparisons find
// that none does. n must not match the empty text.
func (n *regexpNode) firsts() (set byteSet, comparisons int) {
	switch n.op {
	case oneOf:
		return n.set, 1
	case repetition:
		return n.subs[0].firsts()
	}
	for _, sub := range n.subs {
		next, more := sub.firsts()
		set, comparisons = set.or(next), comparisons+more
		if shortest, _ := sub.lengths(); n.op == sequence && shortest > 0 {
			break
		}
	}
	return set, comparisons
}

// all returns every byte that a text of n can contain.
func (n *regexpNode) all() byteSet {
	set := n.set
	for _, sub := range n.subs {
		set = set.or(sub.all())
	}
	return set
}
