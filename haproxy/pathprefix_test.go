// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"strings"
	"testing"

	"podgate/haproxy"
)

func TestParsePathPrefix(t *testing.T) {
	longest := "/" + strings.Repeat("a", haproxy.MaxPath-1)
	for _, row := range []struct{ value, want, reason string }{
		{"/", "", ""},
		{"/a/", "/a", ""},
		{"/.../a", "/.../a", ""},
		{"/a%20b", "/a%20b", ""},
		{longest, longest, ""},
		{longest + "/", longest, ""},
		{longest + "a", "", "it has more than 256 characters"},
		{"", "", "it does not begin with /"},
		{"cart", "", "it does not begin with /"},
		{"//", "", "a segment is empty"},
		{"/a//", "", "a segment is empty"},
		{"/%7Ecart/%63art%2f%3a", "/~cart/cart%2F%3A", ""},
		{"/%2e%2E", "", `a segment is "." or ".."`},
		{"/a%2", "", "% is not followed by two hexadecimal digits"},
		{"/a*", "", "a prefix has no wildcards"},
		{"/a b", "", "use letters, digits and - . _ ~ : @ + = %XX"},
	} {
		path, err := haproxy.ParsePathPrefix(row.value)
		if string(path) != row.want || reason(err) != row.reason {
			t.Errorf("%q: got %q, %v, want %q, %s", row.value, path, err, row.want, row.reason)
		}
	}
}

func TestPathPrefixMatchesWholeSegments(t *testing.T) {
	for _, row := range []struct {
		prefix haproxy.PathPrefix
		path   string
		want   bool
	}{
		{"", "/", true}, {"", "/a", true}, {"", "*", false},
		{"/a", "/a", true}, {"/a", "/a/", true}, {"/a", "/a/b", true}, {"/a", "/ab", false}, {"/a", "/A", false}, {"/a", "/", false},
	} {
		if got := row.prefix.Matches(row.path); got != row.want {
			t.Errorf("%q matches %q: got %v, want %v", row.prefix, row.path, got, row.want)
		}
	}
}

func TestParseNetwork(t *testing.T) {
	const bad = `write it like "10.0.0.0/8" or "fd00::/8"`
	for _, row := range []struct{ value, want, reason string }{
		{"10.0.0.0/8", "10.0.0.0/8", ""},
		{"10.0.0.1/8", "10.0.0.1/8", ""},
		{"10.0.0.1", "10.0.0.1/32", ""},
		{"::ffff:10.0.0.1", "10.0.0.1/32", ""},
		{"fd00::1", "fd00::1/128", ""},
		{"fe80::1%eth0", "invalid Prefix", bad},
		{"10.0.0.0/33", "invalid Prefix", bad},
		{"shop", "invalid Prefix", bad},
	} {
		p, err := haproxy.ParseNetwork(row.value)
		if p.String() != row.want || reason(err) != row.reason {
			t.Errorf("%q: got %q, %v, want %q, %s", row.value, p, err, row.want, row.reason)
		}
	}
}
