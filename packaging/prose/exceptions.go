// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// exception is wording that a rule objects to and that stays.
type exception struct {
	file   string // as finding has it, or a folder of it
	words  string // part of what is around the finding
	reason string
}

// exceptions are all of them. One that excuses nothing is a finding.
func exceptions() []exception {
	const renamed = "NEWS lists what was renamed"
	const news = "packaging/debian/NEWS"
	return []exception{
		{news, "in step", renamed},
		{news, "weakened", renamed},
		{news, "none of its peers", renamed},
		{news, "strangers", renamed},
	}
}

// excuse returns the exception that f is.
func excuse(f finding) (exception, bool) {
	for _, e := range exceptions() {
		if within(f.file, e.file) && strings.Contains(f.around, e.words) {
			return e, true
		}
	}
	return exception{}, false
}
