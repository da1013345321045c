// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"regexp"
)

// selector checks the form of a label selector (Kubernetes "Labels and
// Selectors", "API"): requirements separated by commas. The API server may still
// reject it.
func selector(s string) (string, error) {
	requirements, err := splitRequirements(s)
	if err != nil {
		return "", err
	}
	valid := requirement()
	for _, r := range requirements {
		if !valid.MatchString(r) {
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

// requirement matches one requirement: "key", "!key", "key=value", "key in (a,b)" and
// their variants. A key is a name, or a DNS subdomain, "/" and a name. A value is a name
// or empty. A name has up to 63 letters, digits and ._-, with a letter or digit at both
// ends.
func requirement() *regexp.Regexp {
	const (
		name  = `[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?`
		label = `[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?`
		key   = `(?:` + label + `(?:\.` + label + `)*/)?` + name
		value = `\s*(?:` + name + `)?\s*`
	)
	return regexp.MustCompile(`^\s*(?:!?\s*` + key + `|` + key + `\s*(?:=|==|!=)` + value + `|` +
		key + `\s+(?:in|notin)\s*\(` + value + `(?:,` + value + `)*\))\s*$`)
}
