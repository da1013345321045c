// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// selector is a label selector: every requirement holds.
type selector []requirement

type requirement struct {
	key    string
	values []string // nil: any value
	not    bool
}

// parseSelector reads "a=b,c!=d,e in (f,g),h notin (i),j,!k" (Kubernetes,
// "Labels and Selectors").
func parseSelector(text string) (selector, error) {
	var s selector
	for _, part := range splitSelector(text) {
		r, err := parseRequirement(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		s = append(s, r)
	}
	return s, nil
}

// splitSelector splits at the commas outside of parentheses.
func splitSelector(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	var parts []string
	depth, start := 0, 0
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

func parseRequirement(text string) (requirement, error) {
	set := regexp.MustCompile(`^([\w./-]+)\s+(in|notin)\s*\(([^()]*)\)$`)
	equal := regexp.MustCompile(`^([\w./-]+)\s*(=|==|!=)\s*([\w.-]*)$`)
	exists := regexp.MustCompile(`^(!?)\s*([\w./-]+)$`)
	if m := set.FindStringSubmatch(text); m != nil {
		values := strings.Split(m[3], ",")
		for i := range values {
			values[i] = strings.TrimSpace(values[i])
		}
		return requirement{key: m[1], values: values, not: m[2] == "notin"}, nil
	}
	if m := equal.FindStringSubmatch(text); m != nil {
		return requirement{key: m[1], values: []string{m[3]}, not: m[2] == "!="}, nil
	}
	if m := exists.FindStringSubmatch(text); m != nil {
		return requirement{key: m[2], not: m[1] == "!"}, nil
	}
	return requirement{}, fmt.Errorf("unable to parse requirement: %q", text)
}

func (s selector) matches(labels map[string]string) bool {
	for _, r := range s {
		if r.matches(labels) == r.not {
			return false
		}
	}
	return true
}

// matches does not apply r.not.
func (r requirement) matches(labels map[string]string) bool {
	value, ok := labels[r.key]
	return ok && (r.values == nil || slices.Contains(r.values, value))
}
