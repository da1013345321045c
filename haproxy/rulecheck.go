// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxConditions is the maximum number of Headers and Query together: as many as the
// Gateway API allows in a match of an HTTPRoute.
const MaxConditions = 32

// Check returns the first reason why HAProxy would not serve the Route as it is: it skips
// what is not valid in HTTP. The error is for the user.
func (r Route) Check() error {
	if r.Path != "" && (!isPathText(string(r.Path)) || NormalizePath(string(r.Path)) != string(r.Path)) {
		return fmt.Errorf("path %q is not valid, or not in its normal form (RFC 3986 section 6.2.2)", r.Path)
	}
	if err := checkRewrite(r.Rewrite); err != nil {
		return err
	}
	if r.Conditions != nil {
		if r.FoldCase {
			return errors.New("a path in any case has no conditions")
		}
		if err := r.Conditions.check(); err != nil {
			return err
		}
	}
	if r.Actions == nil {
		return nil
	}
	if r.Redirect != "" || r.Passthrough {
		return errors.New("a redirect to https and a passthrough have no actions")
	}
	if r.Rewrite != "" && r.Actions.FullPath != "" {
		return errors.New("either the path or its prefix is replaced, not both")
	}
	return r.Actions.check()
}

func checkRewrite(rewrite Rewrite) error {
	if rewrite != "" && !isPathText(string(rewrite)) {
		return fmt.Errorf("new path prefix %q is not valid", rewrite)
	}
	return nil
}

func (c Conditions) check() error {
	if c.Method != "" && !isTokenText(c.Method) {
		return fmt.Errorf("method %q is not valid", c.Method)
	}
	if n := len(c.Headers) + len(c.Query); n > MaxConditions {
		return fmt.Errorf("it has %d conditions, more than %d", n, MaxConditions)
	}
	if err := checkRegexp(c.Path); err != nil {
		return fmt.Errorf("path: %w", err)
	}
	for _, h := range c.Headers {
		if !IsHeaderName(h.Name) {
			return fmt.Errorf("header name %q is not valid, or not in lower case", h.Name)
		}
		if !isFieldValue(h.Value) || strings.Trim(h.Value, " \t") != h.Value {
			return fmt.Errorf("header %s: %q is no value that a header can have", h.Name, h.Value)
		}
		if err := h.check(); err != nil {
			return fmt.Errorf("header %s: %w", h.Name, err)
		}
	}
	for _, q := range c.Query {
		if q.Name == "" {
			return errors.New("a query parameter has no name")
		}
		if err := q.check(); err != nil {
			return fmt.Errorf("query parameter %q: %w", q.Name, err)
		}
	}
	return nil
}

func (m ValueMatch) check() error {
	switch {
	case m.Value != "" && m.Regexp != "":
		return errors.New("it has a value and a regular expression")
	case m.Value == "" && m.Regexp == "":
		return errors.New("it has no value")
	}
	return checkRegexp(m.Regexp)
}

func checkRegexp(re Regexp) error {
	if re == "" {
		return nil
	}
	if _, err := parseRegexp(string(re)); err != nil {
		return fmt.Errorf("regular expression %q: %w", re, err)
	}
	return nil
}

// isTokenText reports whether s can be a method (RFC 9110 section 5.6.2).
func isTokenText(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

func (a Actions) check() error {
	does := 0
	for _, set := range []bool{a.Location != nil, a.Answer != 0, a.Targets != nil} {
		if set {
			does++
		}
	}
	switch {
	case does > 1:
		return errors.New("it has more than one of a redirect, a fixed answer and weighted targets")
	case a.Answer != 0 && !slices.Contains(AnswerCodes(), a.Answer):
		return fmt.Errorf("status %d is not one of %v", a.Answer, AnswerCodes())
	case a.Host != "" && !isHostText(a.Host):
		return fmt.Errorf("new host %q is not valid", a.Host)
	case a.FullPath != "" && !isPathText(a.FullPath):
		return fmt.Errorf("new path %q is not valid", a.FullPath)
	case len(a.Targets) > MaxTargets:
		return fmt.Errorf("it has %d targets, more than %d", len(a.Targets), MaxTargets)
	}
	changes := []HeaderChanges{a.Request, a.Response}
	for _, t := range a.Targets {
		if t.Weight < 0 || t.Weight > MaxWeight {
			return fmt.Errorf("weight %d is not between 0 and %d", t.Weight, MaxWeight)
		}
		changes = append(changes, t.Request, t.Response)
	}
	for _, c := range changes {
		if err := c.check(); err != nil {
			return err
		}
	}
	if a.Location != nil {
		if err := a.Location.check(); err != nil {
			return fmt.Errorf("redirect: %w", err)
		}
	}
	if a.CORS != nil {
		return a.CORS.check()
	}
	return nil
}

func (h HeaderChanges) check() error {
	for _, list := range [][]Header{h.Set, h.Add} {
		for _, header := range list {
			if !IsHeaderName(header.Name) {
				return fmt.Errorf("header name %q is not valid, or not in lower case", header.Name)
			}
			if !isFieldValue(header.Value) {
				return fmt.Errorf("header %s: %q is no value that a header can have", header.Name, header.Value)
			}
		}
	}
	for _, name := range h.Remove {
		if !IsHeaderName(name) {
			return fmt.Errorf("header name %q is not valid, or not in lower case", name)
		}
	}
	return nil
}

func (l Location) check() error {
	switch {
	case l.Scheme != "" && l.Scheme != "http" && l.Scheme != "https":
		return fmt.Errorf("scheme %q is not one of http, https", l.Scheme)
	case l.Host != "" && !isHostText(l.Host):
		return fmt.Errorf("host %q is not valid", l.Host)
	case l.FullPath != "" && !isPathText(l.FullPath):
		return fmt.Errorf("path %q is not valid", l.FullPath)
	case l.FullPath != "" && l.Rewrite != "":
		return errors.New("either the path or its prefix is replaced, not both")
	case !slices.Contains(RedirectCodes(), l.Code):
		return fmt.Errorf("code %d is not one of %v", l.Code, RedirectCodes())
	}
	return checkRewrite(l.Rewrite)
}

func (c CORS) check() error {
	for _, origin := range c.Origins {
		if !isOriginText(origin) || strings.Count(origin, "*") > 1 {
			return fmt.Errorf("CORS: origin %q is not valid", origin)
		}
	}
	for _, name := range slices.Concat(c.Methods, c.Headers, c.Expose) {
		if name != "*" && !IsHeaderName(strings.ToLower(name)) {
			return fmt.Errorf("CORS: %q is not a method or the name of a header", name)
		}
	}
	return nil
}
