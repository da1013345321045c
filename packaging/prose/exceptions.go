// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// exception is a finding that is allowed.
type exception struct {
	file   string // path, or that of a folder
	words  string // a part of finding.around
	reason string
}

// exceptions returns all exceptions. An exception that matches no finding is a finding.
func exceptions() []exception {
	const renamed = "NEWS lists what was renamed"
	const news = "packaging/debian/NEWS"
	return []exception{
		{news, "in step", renamed},
		{news, "weakened", renamed},
		{news, "none of its peers", renamed},
		{news, "strangers", renamed},
		{news, "HAProxy is not told", renamed},
		{news, "retired workers", renamed},
	}
}

// excuse returns the exception that matches f, and whether there is one.
func excuse(f finding) (exception, bool) {
	for _, e := range exceptions() {
		if within(f.file, e.file) && strings.Contains(f.around, e.words) {
			return e, true
		}
	}
	return exception{}, false
}
