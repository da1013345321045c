// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"fmt"
	"slices"
	"strings"
)

// Selector is a label selector (Kubernetes "Labels and Selectors", "API"), which an
// object matches if it meets each requirement. The zero value matches every object.
// Requests contain the text of a selector, and the API server applies it.
type Selector []requirement

// requirement is one requirement of a Selector.
type requirement struct {
	key    string
	values []string // nil if any value is meant
	not    bool     // the label must be absent, or have another value
}

// ParseSelector parses requirements separated by commas: "key", "!key", "key=value",
// "key==value", "key!=value", "key in (a,b)" and "key notin (a,b)". It does not check the
// characters of keys and values.
func ParseSelector(text string) (Selector, error) {
	var s Selector
	for rest := text; strings.TrimSpace(text) != ""; {
		part, after, more := cutRequirement(rest)
		r, ok := parseRequirement(strings.TrimSpace(part))
		if !ok {
			return nil, fmt.Errorf("%q is not a label selector: %q is not a requirement", text, part)
		}
		s = append(s, r)
		if !more {
			break
		}
		rest = after
	}
	return s, nil
}

// cutRequirement cuts at the first comma that is not in parentheses.
func cutRequirement(text string) (before, after string, found bool) {
	open := false
	for i, c := range text {
		switch {
		case c == '(' || c == ')':
			open = c == '('
		case c == ',' && !open:
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

func parseRequirement(text string) (requirement, bool) {
	var r requirement
	if set, ok := strings.CutSuffix(text, ")"); ok {
		head, list, _ := strings.Cut(set, "(")
		words := strings.Fields(head)
		if len(words) != 2 || words[1] != "in" && words[1] != "notin" || strings.ContainsAny(list, "()") {
			return r, false
		}
		r.key, r.not = words[0], words[1] == "notin"
		for value := range strings.SplitSeq(list, ",") {
			r.values = append(r.values, strings.TrimSpace(value))
		}
		return r, true
	}
	if i := strings.IndexAny(text, "!="); i > 0 {
		var value string
		operator := text[i:]
		switch {
		case strings.HasPrefix(operator, "!="):
			r.not, value = true, operator[2:]
		case strings.HasPrefix(operator, "=="):
			value = operator[2:]
		case strings.HasPrefix(operator, "="):
			value = operator[1:]
		default:
			return r, false
		}
		r.key, r.values = strings.TrimSpace(text[:i]), []string{strings.TrimSpace(value)}
		return r, isWord(r.key) && !strings.ContainsAny(r.values[0], "!=() ")
	}
	key, not := strings.CutPrefix(text, "!")
	r.key, r.not = strings.TrimSpace(key), not
	return r, isWord(r.key)
}

func isWord(key string) bool { return key != "" && !strings.ContainsAny(key, "!=() ") }

// Matches reports whether an object with these labels meets every requirement. An object
// without a label meets "!=" and "notin" for this label, as in Kubernetes.
func (s Selector) Matches(labels map[string]string) bool {
	for _, r := range s {
		value, has := labels[r.key]
		if has && r.values != nil {
			has = slices.Contains(r.values, value)
		}
		if has == r.not {
			return false
		}
	}
	return true
}
