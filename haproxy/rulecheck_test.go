// SPDX-License-Identifier: Apache-2.0

package haproxy

import "testing"

func TestCheckOfARoute(t *testing.T) {
	header := func(name, value string) Route {
		return Route{Conditions: &Conditions{Headers: []ValueMatch{{Name: name, Value: value}}}}
	}
	query := func(m ValueMatch) Route { return Route{Conditions: &Conditions{Query: []ValueMatch{m}}} }
	act := func(a Actions) Route { return Route{Actions: &a} }
	location := func(l Location) Route { return act(Actions{Location: &l}) }
	for _, row := range []struct {
		name  string
		route Route
		want  string
	}{
		{"a route of a Service", Route{Host: "a", Path: "/cart", Rewrite: "/", Backend: "a"}, ""},
		{"a slash at the end of an exact path", Route{Path: "/cart/", Exact: true}, ""},
		{"dot segments", Route{Path: "/a/../b"}, `path "/a/../b" is not valid, or not in its normal form (RFC 3986 section 6.2.2)`},
		{"a blank in a path", Route{Path: "/a b"}, `path "/a b" is not valid, or not in its normal form (RFC 3986 section 6.2.2)`},
		{"a new prefix without a slash", Route{Rewrite: "a"}, `new path prefix "a" is not valid`},
		{"conditions of a path in any case", Route{Path: "/a", FoldCase: true, Conditions: &Conditions{}}, "a path in any case has no conditions"},
		{"actions of a passthrough", Route{Passthrough: true, Actions: &Actions{}}, "a redirect to https and a passthrough have no actions"},
		{"two new paths", Route{Rewrite: "/", Actions: &Actions{FullPath: "/a"}}, "either the path or its prefix is replaced, not both"},
		{"a method", Route{Conditions: &Conditions{Method: "M-SEARCH"}}, ""},
		{"a method with a blank", Route{Conditions: &Conditions{Method: "GE T"}}, `method "GE T" is not valid`},
		{"too many conditions", Route{Conditions: &Conditions{Query: make([]ValueMatch, 33)}}, "it has 33 conditions, more than 32"},
		{"a regular expression for the path", Route{Conditions: &Conditions{Path: "(a"}}, `path: regular expression "(a": "(a": missing closing )`},
		{"a header", header("x-a", "b c"), ""},
		{"a header in upper case", header("X-a", "b"), `header name "X-a" is not valid, or not in lower case`},
		{"a value of two lines", header("x-a", "b\nc"), `header x-a: "b\nc" is no value that a header can have`},
		{"a value with a blank at the end", header("x-a", "b "), `header x-a: "b " is no value that a header can have`},
		{"a header without a value", header("x-a", ""), `header x-a: it has no value`},
		{"a parameter without a name", query(ValueMatch{Value: "a"}), "a query parameter has no name"},
		{"a parameter with two conditions", query(ValueMatch{Name: "a", Value: "a", Regexp: "a"}), `query parameter "a": it has a value and a regular expression`},
		{"a parameter by regular expression", query(ValueMatch{Name: "a", Regexp: "(b+c?)*"}), `query parameter "a": regular expression "(b+c?)*": "b+" is in a repetition, and what follows it can begin with the same bytes`},
		{"two actions", act(Actions{Answer: 403, Targets: []Target{{}}}), "it has more than one of a redirect, a fixed answer and weighted targets"},
		{"an unknown status", act(Actions{Answer: 999}), "status 999 is not one of [200 204 400 401 403 404 405 410 413 421 429 500 502 503 504]"},
		{"a new host", act(Actions{Host: "a/b"}), `new host "a/b" is not valid`},
		{"a new path", act(Actions{FullPath: "/a?b"}), `new path "/a?b" is not valid`},
		{"too many targets", act(Actions{Targets: make([]Target, 17)}), "it has 17 targets, more than 16"},
		{"a weight", act(Actions{Targets: []Target{{Weight: -1}}}), "weight -1 is not between 0 and 1000000"},
		{"a header of a target", act(Actions{Targets: []Target{{Request: HeaderChanges{Remove: []string{"a b"}}}}}), `header name "a b" is not valid, or not in lower case`},
		{"a value that is set", act(Actions{Response: HeaderChanges{Set: []Header{{"x-a", "\r\n"}}}}), `header x-a: "\r\n" is no value that a header can have`},
		{"a name that is added", act(Actions{Request: HeaderChanges{Add: []Header{{"", "a"}}}}), `header name "" is not valid, or not in lower case`},
		{"a redirect", location(Location{Scheme: "https", Code: 308}), ""},
		{"another scheme", location(Location{Scheme: "ftp", Code: 302}), `redirect: scheme "ftp" is not one of http, https`},
		{"another host", location(Location{Host: "a b", Code: 302}), `redirect: host "a b" is not valid`},
		{"another path", location(Location{FullPath: "a", Code: 302}), `redirect: path "a" is not valid`},
		{"two paths", location(Location{FullPath: "/a", Rewrite: "/", Code: 302}), "redirect: either the path or its prefix is replaced, not both"},
		{"another prefix", location(Location{Rewrite: "a", Code: 302}), `redirect: new path prefix "a" is not valid`},
		{"no code", location(Location{}), "redirect: code 0 is not one of [301 302 303 307 308]"},
		{"an origin", act(Actions{CORS: &CORS{Origins: []string{"*", "https://*.a"}, Methods: []string{"GET", "*"}}}), ""},
		{"an origin with two wildcards", act(Actions{CORS: &CORS{Origins: []string{"*.*"}}}), `CORS: origin "*.*" is not valid`},
		{"a method of CORS", act(Actions{CORS: &CORS{Methods: []string{"GE T"}}}), `CORS: "GE T" is not a method or the name of a header`},
	} {
		got := ""
		if err := row.route.Check(); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}
