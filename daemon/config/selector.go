// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
)

// selector checks the form of a label selector (Kubernetes "Labels and
// Selectors", "API"): requirements separated by commas. The API server may still
// reject it.
func selector(s string) (string, error) {
	requirements, err := splitRequirements(s)
	if err != nil {
		return "", err
	}
	for _, r := range requirements {
		if !isRequirement(strings.TrimSpace(r)) {
			return "", fmt.Errorf(`%q is not a label selector: %q is not "key", "!key", "key=value", "key!=value", "key in (a,b)" or "key notin (a,b)"`, s, r)
		}
	}
	return s, nil
}

// splitRequirements splits at the commas that are not in parentheses.
func splitRequirements(s string) ([]string, error) {
	var parts []string
	start, open := 0, false
	for i, r := range s {
		switch r {
		case '(', ')':
			if open == (r == '(') {
				return nil, fmt.Errorf("%q is not a label selector: its parentheses do not match", s)
			}
			open = !open
		case ',':
			if !open {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	if open {
		return nil, fmt.Errorf("%q is not a label selector: its parentheses do not match", s)
	}
	return append(parts, s[start:]), nil
}

func isRequirement(s string) bool {
	if key, ok := strings.CutPrefix(s, "!"); ok {
		return isLabelKey(strings.TrimSpace(key))
	}
	if key, set, ok := strings.Cut(s, "("); ok {
		words := strings.Fields(key)
		values, closed := strings.CutSuffix(set, ")")
		return closed && len(words) == 2 && isLabelKey(words[0]) &&
			(words[1] == "in" || words[1] == "notin") && areLabelValues(values)
	}
	for _, operator := range []string{"!=", "==", "="} {
		if key, v, ok := strings.Cut(s, operator); ok {
			return isLabelKey(strings.TrimSpace(key)) && isLabelValue(strings.TrimSpace(v))
		}
	}
	return isLabelKey(s)
}

func areLabelValues(s string) bool {
	for v := range strings.SplitSeq(s, ",") {
		if !isLabelValue(strings.TrimSpace(v)) {
			return false
		}
	}
	return true
}

// isLabelKey reports whether s is a name, or a DNS name, "/" and a name.
func isLabelKey(s string) bool {
	if prefix, name, ok := strings.Cut(s, "/"); ok {
		return isDNSName(prefix) && name != "" && isLabelValue(name)
	}
	return s != "" && isLabelValue(s)
}

// isLabelValue reports whether s is empty, or up to 63 letters, digits and
// ._- with a letter or digit at both ends.
func isLabelValue(s string) bool {
	if len(s) > 63 {
		return false
	}
	for i, r := range s {
		atEnd := i == 0 || i == len(s)-1
		if !isAlphanumeric(r) && (atEnd || !strings.ContainsRune("._-", r)) {
			return false
		}
	}
	return true
}
