// SPDX-License-Identifier: Apache-2.0

package haproxy

import "testing"

func TestNormalizePath(t *testing.T) {
	for path, want := range map[string]string{
		"/a/b/c/./../../g":  "/a/g", // RFC 3986 section 5.2.4
		"/":                 "/",
		"":                  "",
		"/a/..":             "/",
		"/a/.":              "/a/",
		"/../../a":          "/a",
		"/a/%2E%2e/b":       "/b",
		"/a/.%2e/b":         "/b",
		"/a//../b":          "/a/b",
		"/.a/..b/...":       "/.a/..b/...",
		"/%2e%2e%2e/x":      "/.../x",
		"/%7Ecart/%63ART":   "/~cart/cART", // section 6.2.2.2
		"/%2d%5F%30%39":     "/-_09",
		"/a%2fb%3A":         "/a%2Fb%3A", // section 6.2.2.1: reserved characters stay encoded
		"/%c3%A9":           "/%C3%A9",
		"/%2541":            "/%2541", // decoded once
		"/%/%zz/%aZ/%4":     "/%/%zz/%aZ/%4",
		"/%40%5b%60%7b%2f0": "/%40%5B%60%7B%2F0", // next to letters and digits
	} {
		got := NormalizePath(path)
		if got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
		if again := NormalizePath(got); again != got {
			t.Errorf("%q: got %q, whose normal form is %q", path, got, again)
		}
	}
}
