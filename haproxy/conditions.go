// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"slices"
	"strings"
)

// Met reports whether a request meets the conditions. Nil conditions are always met.
func (c *Conditions) Met(r Request) bool { return len(c.Unmet(r)) == 0 }

// Unmet returns the conditions that a request does not meet, as Text describes them.
func (c *Conditions) Unmet(r Request) (unmet []string) {
	for _, one := range c.each() {
		if !one.met(r) {
			unmet = append(unmet, one.text)
		}
	}
	return unmet
}

// Text returns each condition in words, such as "header version is v2".
func (c *Conditions) Text() (all []string) {
	for _, one := range c.each() {
		all = append(all, one.text)
	}
	return all
}

// condition is one condition of a Route.
type condition struct {
	text string
	met  func(r Request) bool
}

func (c *Conditions) each() (all []condition) {
	if c == nil {
		return nil
	}
	add := func(text string, met func(r Request) bool) { all = append(all, condition{text, met}) }
	if c.Method != "" {
		add("method is "+c.Method, func(r Request) bool { return r.method() == c.Method })
	}
	if c.Path != "" {
		add("path matches "+string(c.Path), func(r Request) bool {
			path := NormalizePath(r.Path)
			return path != "" && c.Path.Matches(path)
		})
	}
	for _, h := range c.Headers {
		add("header "+h.text(), func(r Request) bool {
			return slices.ContainsFunc(append(slices.Clip(r.Headers), Header{"host", r.Host}), func(have Header) bool {
				return strings.EqualFold(have.Name, h.Name) && h.matches(have.Value, have.Value)
			})
		})
	}
	for _, q := range c.Query {
		add("query parameter "+q.text(), func(r Request) bool {
			value, ok := r.parameter(q.Name)
			return ok && q.matches(decodeParameter(value), value)
		})
	}
	return all
}

func (m ValueMatch) text() string {
	if m.Regexp != "" {
		return m.Name + " matches " + string(m.Regexp)
	}
	return m.Name + " is " + m.Value
}

// matches compares a value, which is decoded for Value and as in the request for Regexp.
func (m ValueMatch) matches(decoded, sent string) bool {
	if m.Regexp != "" {
		return m.Regexp.Matches(sent)
	}
	return m.Value == decoded
}

// method returns the method, by default GET.
func (r Request) method() string {
	if r.Method == "" {
		return "GET"
	}
	return r.Method
}

// parameter returns the value of the first parameter of the query with a name, as in the
// request.
func (r Request) parameter(name string) (value string, ok bool) {
	for part := range strings.SplitSeq(r.Query, "&") {
		key, value, _ := strings.Cut(part, "=")
		if decodeParameter(key) == name {
			return value, true
		}
	}
	return "", false
}

// decodeParameter decodes percent-encoded characters and "+" of a query. What encodes
// nothing stays.
func decodeParameter(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b.WriteByte(' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
