// SPDX-License-Identifier: Apache-2.0

package haproxy

import "testing"

func TestRemoveDotSegments(t *testing.T) {
	for path, want := range map[string]string{
		"/a/b/c/./../../g": "/a/g", // RFC 3986 section 5.2.4
		"/":                "/",
		"":                 "",
		"/a/..":            "/",
		"/a/.":             "/a/",
		"/../../a":         "/a",
		"/a/%2E%2e/b":      "/b",
		"/a/.%2e/b":        "/b",
		"/a//../b":         "/a/b",
		"/.a/..b/...":      "/.a/..b/...",
		"/%2e%2e%2e/x":     "/%2e%2e%2e/x",
	} {
		if got := RemoveDotSegments(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}
