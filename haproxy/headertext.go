// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"slices"
	"strings"
	"time"
)

// The operations on a header in a text of header changes, "&=x-a:VALUE&-x-b:&". A name
// may have two values to add: of the Route and of the Target.
const (
	SetHeader      = "="
	AddHeader      = "+"
	AddHeaderAgain = "~"
	RemoveHeader   = "-"
)

// HeaderMark is before and after each change of a header.
const HeaderMark = "&"

// text is what the changes of a Route and then those of a Target do together; "" for
// nothing. Names and values that HTTP does not allow are skipped.
func (h HeaderChanges) text(then HeaderChanges) string {
	type effect struct {
		removes bool // what the header had before
		adds    []string
	}
	effects := map[string]*effect{}
	var names []string
	of := func(name string) *effect {
		if effects[name] == nil {
			effects[name] = &effect{}
			names = append(names, name)
		}
		return effects[name]
	}
	for _, c := range []HeaderChanges{h, then} {
		for _, s := range c.Set {
			if s.valid() {
				*of(s.Name) = effect{true, []string{s.Value}}
			}
		}
		for _, a := range c.Add {
			if a.valid() {
				of(a.Name).adds = append(of(a.Name).adds, a.Value)
			}
		}
		for _, name := range c.Remove {
			if IsHeaderName(name) {
				*of(name) = effect{true, nil}
			}
		}
	}
	slices.Sort(names)
	text := ""
	for _, name := range names {
		e := effects[name]
		ops := []string{AddHeader, AddHeaderAgain}
		if e.removes {
			ops = []string{SetHeader, AddHeader, AddHeaderAgain}
			if len(e.adds) == 0 {
				text += HeaderMark + RemoveHeader + name + ":"
			}
		}
		for i, value := range e.adds[:min(len(e.adds), len(ops))] {
			text += HeaderMark + ops[i] + name + ":" + escape(value)
		}
	}
	if text == "" {
		return ""
	}
	return text + HeaderMark
}

func (h Header) valid() bool { return IsHeaderName(h.Name) && isFieldValue(h.Value) }

// MaxHeaderName is the maximum length of the name of a header that a Route changes.
const MaxHeaderName = 256

// IsHeaderName reports whether s is the name of a header (RFC 9110 section 5.1) in lower
// case that a Route may change.
func IsHeaderName(s string) bool {
	if s == "" || len(s) > MaxHeaderName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' || !isAlphanumeric(c) && strings.IndexByte("-_.", c) < 0 {
			return false
		}
	}
	return true
}

// isFieldValue reports whether s can be the value of a header (RFC 9110 section 5.5).
func isFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

// headerNames returns s.HeaderNames and the names of the headers that Routes change, sorted.
func (s State) headerNames() []string {
	if !s.Settings.Rules {
		return s.HeaderNames
	}
	names := slices.Clone(s.HeaderNames)
	for _, r := range s.Routes {
		r.Actions.headerNames(func(name string) { names = append(names, name) })
	}
	if len(names) == len(s.HeaderNames) {
		return s.HeaderNames
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ruleHeaderNames returns the names in the changes of headers of a value of RulesMap.
func ruleHeaderNames(value string) []string {
	fields := strings.Split(value, "|")
	if len(fields) < ruleActionsField {
		return nil
	}
	var names []string
	for _, text := range []string{fields[RuleRequestField-1], fields[RuleResponseField-1], fields[RuleTargetsField-1]} {
		for change := range strings.SplitSeq(text, HeaderMark) {
			if name, _, ok := strings.Cut(change, ":"); ok && len(name) > 1 {
				names = append(names, name[1:])
			}
		}
	}
	return names
}

// headerNames calls add for the names that the changes have, and those of each Target.
func (a *Actions) headerNames(add func(name string)) {
	if a == nil {
		return
	}
	all := []HeaderChanges{a.Request, a.Response}
	for _, t := range a.Targets {
		all = append(all, t.Request, t.Response)
	}
	for _, c := range all {
		for _, h := range slices.Concat(c.Set, c.Add) {
			if h.valid() {
				add(h.Name)
			}
		}
		for _, name := range c.Remove {
			if IsHeaderName(name) {
				add(name)
			}
		}
	}
}

// text is the value of RuleCORSField. In ORIGINS, each origin is between commas.
func (c CORS) text() string {
	list := func(items []string) string {
		if slices.Contains(items, "*") {
			return "*"
		}
		var escaped []string
		for _, item := range items {
			if IsHeaderName(strings.ToLower(item)) {
				escaped = append(escaped, item)
			}
		}
		return strings.Join(escaped, ",")
	}
	origins := ","
	for _, o := range c.Origins {
		if isOriginText(o) {
			origins += o + ","
		}
	}
	if slices.Contains(c.Origins, "*") {
		origins = "*"
	}
	credentials, seconds := "", ""
	if c.Credentials {
		credentials = "true"
	}
	if c.MaxAge > 0 {
		seconds = milliseconds(c.MaxAge / time.Second * time.Millisecond)
	}
	return strings.Join([]string{origins, list(c.Methods), list(c.Headers), list(c.Expose), seconds, credentials}, ";")
}

// isOriginText reports whether s has only characters of an origin, and of a wildcard.
func isOriginText(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c >= 0x7f || !isAlphanumeric(byte(c)) && !strings.ContainsRune("-._:/*+[]", c)
	})
}
