// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"strings"
)

// regexpPrinter writes a tree in one of three forms.
type regexpPrinter struct {
	strings.Builder
	form regexpForm
	end  byteSet // bytes that no set contains
	// inClass means that the text of a class is written.
	inClass bool
}

type regexpForm int

const (
	normalized regexpForm = iota // for users, and for ParseRegexp
	latinOne                     // for Go, with one character for each byte
	forPCRE2
)

// text returns the normalized text of n.
func (n *regexpNode) text() string {
	var p regexpPrinter
	if n.op == alternation || n.isEmpty() {
		p.group(n)
	} else {
		p.node(n)
	}
	return p.String()
}

// latin1 returns n for Go's regexp package and texts of latin1.
func (n *regexpNode) latin1() string {
	p := regexpPrinter{form: latinOne}
	p.node(n)
	return p.String()
}

// pcre returns n for PCRE2, see Regexp.Until.
func (n *regexpNode) pcre(end byte) string {
	p := regexpPrinter{form: forPCRE2, end: bytesOf(end)}
	p.WriteString("(?:")
	p.node(n)
	fmt.Fprintf(&p, `)(?=\x%02x)`, end)
	return p.String()
}

// text returns the normalized text of a rest of an expression.
func (r *regexpRest) text() string {
	var p regexpPrinter
	p.rest(r)
	return p.String()
}

// repeated returns the normalized text of a repetition of n.
func (n *regexpNode) repeated(least, most int) string {
	var p regexpPrinter
	p.grouped(n)
	p.count(least, most)
	return p.String()
}

func (p *regexpPrinter) rest(r *regexpRest) {
	for ; r != nil && r.node != nil; r = r.next {
		p.element(r.node)
	}
}

// node writes n, which is the whole expression or a whole group.
func (p *regexpPrinter) node(n *regexpNode) {
	switch n.op {
	case sequence:
		if len(n.subs) == 1 && n.subs[0].op == alternation {
			p.branches(n.subs[0])
			return
		}
		p.elements(n.subs)
	case alternation:
		p.branches(n)
	default:
		p.element(n)
	}
}

func (p *regexpPrinter) branches(n *regexpNode) {
	for i, sub := range n.subs {
		if i > 0 {
			p.WriteByte('|')
		}
		p.node(sub)
	}
}

func (p *regexpPrinter) elements(all []*regexpNode) {
	for i := 0; i < len(all); i++ {
		n := all[i]
		if p.form != forPCRE2 || n.op != repetition || n.pcre2.first == 0 {
			p.element(n)
			continue
		}
		// the first possible place of the next elements
		last := i + n.pcre2.first - 1
		p.WriteString("(?>")
		p.repetition(n)
		p.WriteByte('?')
		p.elements(all[i+1 : last+1])
		p.WriteByte(')')
		i = last
	}
}

func (p *regexpPrinter) element(n *regexpNode) {
	switch n.op {
	case oneOf:
		p.set(n.set)
	case boundary:
		p.WriteString(`\b`)
	case notBoundary:
		p.WriteString(`\B`)
	case repetition:
		switch {
		case p.form == forPCRE2 && n.pcre2.guard != nil:
			p.guarded(n)
		case p.form == forPCRE2 && n.pcre2.possessive:
			p.repetition(n)
			p.WriteByte('+')
		default:
			p.repetition(n)
		}
	default:
		p.group(n)
	}
}

// guarded writes a repetition that ends where the rest of the expression matches.
func (p *regexpPrinter) guarded(n *regexpNode) {
	if n.min > 0 {
		p.grouped(n.subs[0])
		fmt.Fprintf(p, "{%d}", n.min)
	}
	p.WriteString("(?:(?!")
	p.rest(n.pcre2.guard)
	for _, b := range p.end.ranges() {
		fmt.Fprintf(p, `\x%02x`, b[0])
	}
	p.WriteByte(')')
	p.group(n.subs[0])
	p.WriteString(")*+")
}

func (p *regexpPrinter) repetition(n *regexpNode) {
	p.grouped(n.subs[0])
	p.count(n.min, n.max)
}

func (p *regexpPrinter) count(least, most int) {
	switch {
	case least == 0 && most == 1:
		p.WriteByte('?')
	case least == 0 && most < 0:
		p.WriteByte('*')
	case least == 1 && most < 0:
		p.WriteByte('+')
	case most < 0:
		fmt.Fprintf(p, "{%d,}", least)
	case most == least:
		fmt.Fprintf(p, "{%d}", least)
	default:
		fmt.Fprintf(p, "{%d,%d}", least, most)
	}
}

// grouped writes a sequence that is repeated.
func (p *regexpPrinter) grouped(n *regexpNode) {
	if len(n.subs) == 1 && n.subs[0].op == oneOf && !n.subs[0].isBeyondASCII() {
		p.set(n.subs[0].set)
		return
	}
	p.group(n)
}

// isBeyondASCII reports whether n is one byte of a character beyond ASCII.
func (n *regexpNode) isBeyondASCII() bool {
	return n.set.len() == 1 && n.set.ranges()[0][0] >= 0x80
}

func (p *regexpPrinter) group(n *regexpNode) {
	p.WriteString("(?:")
	p.node(n)
	p.WriteByte(')')
}

// set writes one byte of a set.
func (p *regexpPrinter) set(s byteSet) {
	s = s.without(p.end)
	switch {
	case s == byteSet{}:
		p.WriteString("(?!)")
	case s.len() == 1:
		p.char(s.ranges()[0][0])
	case p.form == normalized && s == valueBytes():
		p.WriteByte('.')
	case s.len() > 128:
		not := valueBytes().without(s)
		if p.form != normalized {
			not = byteSet{^s[0], ^s[1], ^s[2], ^s[3]}
		}
		p.class("[^", not)
	default:
		p.class("[", s)
	}
}

func (p *regexpPrinter) class(open string, s byteSet) {
	p.WriteString(open)
	p.inClass = true
	for _, r := range s.ranges() {
		p.char(r[0])
		if r[1] > r[0]+1 {
			p.WriteByte('-')
		}
		if r[1] > r[0] {
			p.char(r[1])
		}
	}
	p.inClass = false
	p.WriteByte(']')
}

// char writes one byte.
func (p *regexpPrinter) char(b byte) {
	switch {
	case isAlphanumeric(b):
		p.WriteByte(b)
	case p.form == latinOne:
		fmt.Fprintf(p, `\x{%02x}`, b)
	case p.form == normalized && b >= 0x80:
		p.WriteByte(b) // of the UTF-8 of a character
	case p.form == normalized && b > ' ' && b != 0x7f:
		if special := `\.+*?()|[]{}^$`; strings.IndexByte(special, b) >= 0 || b == '-' && p.inClass {
			p.WriteByte('\\')
		}
		p.WriteByte(b)
	case p.form == forPCRE2 && strings.IndexByte("/_=%", b) >= 0:
		p.WriteByte(b)
	default:
		fmt.Fprintf(p, `\x%02x`, b)
	}
}
