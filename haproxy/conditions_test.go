// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"net/netip"
	"strings"
	"testing"
)

func TestConditions(t *testing.T) {
	regexp := func(text string) Regexp {
		re, err := ParseRegexp(text)
		if err != nil {
			t.Fatal(err)
		}
		return re
	}
	header := func(name, value string) Conditions {
		return Conditions{Headers: []ValueMatch{{Name: name, Value: value}}}
	}
	parameter := func(name, value string) Conditions {
		return Conditions{Query: []ValueMatch{{Name: name, Value: value}}}
	}
	two := []Header{{"X-Version", "v1"}, {"x-version", "v2"}}
	for _, row := range []struct {
		name       string
		conditions Conditions
		request    Request
		want       string // the conditions that are not met
	}{
		{"no condition", Conditions{}, Request{}, ""},
		{"a method", Conditions{Method: "GET"}, Request{Method: "GET"}, ""},
		{"another method", Conditions{Method: "GET"}, Request{Method: "get"}, "method is GET"},
		{"no method means GET", Conditions{Method: "GET"}, Request{}, ""},
		{"a path", Conditions{Path: regexp(`/v\d/.*`)}, Request{Path: "/a/../v1/%61"}, ""},
		{"a part of a path", Conditions{Path: regexp(`/v\d`)}, Request{Path: "/v1/a"}, "path matches /v[0-9]"},
		{"OPTIONS * has no path", Conditions{Path: regexp(`.*`)}, Request{Method: "OPTIONS"}, "path matches .*"},
		{"a header that occurs twice", header("x-version", "v2"), Request{Headers: two}, ""},
		{"two values are not one", header("x-version", "v1, v2"), Request{Headers: two}, "header x-version is v1, v2"},
		{"a value in another case", header("x-version", "V2"), Request{Headers: two}, "header x-version is V2"},
		{"a header that is missing", header("x-other", "v2"), Request{Headers: two}, "header x-other is v2"},
		{"the Host header", header("host", "a.example:80"), Request{Host: "a.example:80"}, ""},
		{"a header by regular expression", Conditions{Headers: []ValueMatch{{Name: "x-version", Regexp: regexp(`v[2-9]`)}}}, Request{Headers: two}, ""},
		{"a parameter", parameter("a", "b"), Request{Query: "x=a&a=b"}, ""},
		{"the first parameter of the name counts", parameter("a", "b"), Request{Query: "a=c&a=b"}, "query parameter a is b"},
		{"a parameter is decoded", parameter("a b", "c&d e"), Request{Query: "a%20b=c%26d+e"}, ""},
		{"an invalid encoding stays", parameter("a", "%zz%4"), Request{Query: "a=%zz%4"}, ""},
		{"a parameter without a value", Conditions{Query: []ValueMatch{{Name: "a", Regexp: regexp(`$`)}}}, Request{Query: "a"}, ""},
		{"a regular expression sees what was sent", Conditions{Query: []ValueMatch{{Name: "a", Regexp: regexp(`b%20c`)}}}, Request{Query: "a=b%20c"}, ""},
		{
			"all must be met", Conditions{Method: "POST", Headers: []ValueMatch{{Name: "x-a", Value: "1"}}, Query: []ValueMatch{{Name: "q", Value: "2"}}},
			Request{Query: "q=2"}, "method is POST; header x-a is 1",
		},
	} {
		if got := strings.Join(row.conditions.Unmet(row.request), "; "); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

func TestMatchOfRules(t *testing.T) {
	gateway := netip.MustParseAddrPort("192.0.2.1:80")
	s := State{Routes: []Route{
		{Host: "**.example.com", Backend: "zone"},
		{Host: "**.b.example.com", Backend: "inner"},
		{Host: "*.example.com", Path: "/one", Backend: "label"},
		{Host: "shop.example.com", Path: "/a", Exact: true, Backend: "exact"},
		{Host: "shop.example.com", Path: "/a", Backend: "prefix"},
		{Host: "shop.example.com", Path: "/c", Order: 2, Backend: "default"},
		{Host: "shop.example.com", Path: "/c", Order: 1, Conditions: &Conditions{Method: "POST"}, Backend: "post"},
		{Host: "shop.example.com", Order: 1, Conditions: &Conditions{Path: `/v[0-9]`}, Backend: "version"},
		{Listener: gateway, Backend: "gateway"},
	}}
	for _, row := range []struct {
		name string
		r    Request
		want string
	}{
		{"any number of labels", Request{Host: "x.y.example.com", Path: "/"}, "zone"},
		{"the longest zone", Request{Host: "x.y.b.example.com", Path: "/"}, "inner zone"},
		{"a zone is not its own host", Request{Host: "example.com", Path: "/"}, ""},
		{"one label before any number", Request{Host: "x.example.com", Path: "/one/a"}, "label zone"},
		{"an exact path before a prefix", Request{Host: "shop.example.com", Path: "/a"}, "exact prefix zone"},
		{"an exact path has no slash at its end", Request{Host: "shop.example.com", Path: "/a/"}, "prefix zone"},
		{"conditions by order", Request{Host: "shop.example.com", Path: "/c", Method: "POST"}, "post default zone"},
		{"a condition that is not met", Request{Host: "shop.example.com", Path: "/c"}, "default zone"},
		{"a regular expression", Request{Host: "shop.example.com", Path: "/v1"}, "version zone"},
		{"a listener has its own routes", Request{Host: "shop.example.com", Path: "/a", To: gateway}, "gateway"},
		{"another address has those without a listener", Request{Host: "x.example.com", To: netip.MustParseAddrPort("192.0.2.2:80")}, "zone"},
	} {
		var got []string
		for _, r := range s.Match(row.r) {
			got = append(got, r.Backend)
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}
