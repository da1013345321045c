// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/config"
	"podgate/haproxy"
)

func testSafety() config.Safety { return testConfig().Safety }

// TestCompareRules has a row for each criterion of HTTPRouteRule.matches of the Gateway
// API, with claims in the order in which they take precedence.
func TestCompareRules(t *testing.T) {
	claim := func(o haproxy.Origin, created int64, r haproxy.Route) RuleClaim {
		if o.Kind == "" {
			o.Kind, o.Namespace = "HTTPRoute", "shop"
		}
		r.Origin = &o
		return RuleClaim{Route: r, Created: time.Unix(created, 0)}
	}
	route := func(host haproxy.HostPattern, path haproxy.PathPrefix, c haproxy.Conditions) haproxy.Route {
		return haproxy.Route{Host: host, Path: path, Conditions: &c}
	}
	headers := func(n int) (all []haproxy.ValueMatch) {
		for i := range n {
			all = append(all, haproxy.ValueMatch{Name: fmt.Sprintf("x-%d", i), Value: "v"})
		}
		return all
	}
	young, old := int64(9), int64(1)
	exact := route("a.example.com", "/a", haproxy.Conditions{})
	exact.Exact = true
	for _, row := range []struct {
		name   string
		claims []RuleClaim
	}{
		{"the most special host", []RuleClaim{
			claim(haproxy.Origin{Name: "a"}, young, route("a.example.com", "", haproxy.Conditions{})),
			claim(haproxy.Origin{Name: "b"}, old, route("*.example.com", "/long/path", haproxy.Conditions{})),
			claim(haproxy.Origin{Name: "c"}, old, route("**.a.example.com", "/long/path", haproxy.Conditions{})),
			claim(haproxy.Origin{Name: "d"}, old, route("**.example.com", "/long/path", haproxy.Conditions{})),
			claim(haproxy.Origin{Name: "e"}, old, route("", "/long/path", haproxy.Conditions{})),
		}},
		{"an Exact path match, then the prefix with the most characters", []RuleClaim{
			claim(haproxy.Origin{Name: "a"}, young, exact),
			claim(haproxy.Origin{Name: "b"}, young, route("a.example.com", "/a/long/one", haproxy.Conditions{})),
			claim(haproxy.Origin{Name: "c"}, old, route("a.example.com", "/a/long", haproxy.Conditions{Method: "GET", Headers: headers(3)})),
		}},
		{"a regular expression before the prefix /, the longest first", []RuleClaim{
			claim(haproxy.Origin{Name: "a"}, young, route("a.example.com", "/b", haproxy.Conditions{})),
			claim(haproxy.Origin{Name: "b"}, young, route("a.example.com", "", haproxy.Conditions{Path: "/a[0-9]"})),
			claim(haproxy.Origin{Name: "c"}, young, route("a.example.com", "", haproxy.Conditions{Path: "/a."})),
			claim(haproxy.Origin{Name: "d"}, old, route("a.example.com", "", haproxy.Conditions{Method: "GET"})),
		}},
		{"a method match", []RuleClaim{
			claim(haproxy.Origin{Name: "a"}, young, route("", "/a", haproxy.Conditions{Method: "GET"})),
			claim(haproxy.Origin{Name: "b"}, old, route("", "/a", haproxy.Conditions{Headers: headers(3)})),
		}},
		{"the largest number of header matches", []RuleClaim{
			claim(haproxy.Origin{Name: "a"}, young, route("", "/a", haproxy.Conditions{Headers: headers(2)})),
			claim(haproxy.Origin{Name: "b"}, old, route("", "/a", haproxy.Conditions{Headers: headers(1), Query: headers(3)})),
		}},
		{"the largest number of query parameter matches", []RuleClaim{
			claim(haproxy.Origin{Name: "a"}, young, route("", "/a", haproxy.Conditions{Query: headers(2)})),
			claim(haproxy.Origin{Name: "b"}, old, route("", "/a", haproxy.Conditions{Query: headers(1)})),
			claim(haproxy.Origin{Name: "c"}, old, haproxy.Route{Path: "/a"}),
		}},
		{"the oldest object", []RuleClaim{
			claim(haproxy.Origin{Name: "b"}, old, route("", "/a", haproxy.Conditions{Method: "GET"})),
			claim(haproxy.Origin{Name: "a"}, young, route("", "/a", haproxy.Conditions{Method: "POST"})),
			{Route: haproxy.Route{Path: "/a", Conditions: &haproxy.Conditions{Method: "PUT"}, Origin: &haproxy.Origin{Kind: "HTTPRoute", Namespace: "shop", Name: "0"}}},
		}},
		{"the first in alphabetical order of namespace/name", []RuleClaim{
			claim(haproxy.Origin{Kind: "HTTPRoute", Namespace: "a-b", Name: "z"}, old, route("", "/a", haproxy.Conditions{Method: "GET"})),
			claim(haproxy.Origin{Kind: "HTTPRoute", Namespace: "a", Name: "a"}, old, route("", "/a", haproxy.Conditions{Method: "POST"})),
			claim(haproxy.Origin{Kind: "HTTPRoute", Namespace: "a", Name: "b"}, old, route("", "/a", haproxy.Conditions{Method: "PUT"})),
		}},
		{"the first rule of an object, and its first match", []RuleClaim{
			claim(haproxy.Origin{Name: "a", Rule: 1}, old, route("", "/a", haproxy.Conditions{Method: "GET"})),
			claim(haproxy.Origin{Name: "a", Rule: 2}, old, route("", "/a", haproxy.Conditions{Method: "POST"})),
			claim(haproxy.Origin{Name: "a", Rule: 2, Match: 1}, old, route("", "/a", haproxy.Conditions{Method: "PUT"})),
		}},
	} {
		for i, a := range row.claims {
			for j, b := range row.claims {
				if got, want := CompareRules(a, b), i-j; got*want < 0 || (got == 0) != (want == 0) {
					t.Errorf("%s: claim %d compared with %d is %d", row.name, i, j, got)
				}
			}
		}
	}
}

// TestMergeRules merges claims in random order.
func TestMergeRules(t *testing.T) {
	type object struct {
		name    string
		created int64
	}
	claim := func(o object, rule int, r haproxy.Route) RuleClaim {
		namespace, name, _ := strings.Cut(o.name, "/")
		r.Origin = &haproxy.Origin{Kind: "HTTPRoute", Namespace: namespace, Name: name, Rule: rule}
		return RuleClaim{Route: r, Created: time.Unix(o.created, 0)}
	}
	get := &haproxy.Conditions{Method: "GET"}
	header := &haproxy.Conditions{Headers: []haproxy.ValueMatch{{Name: "x-a", Value: "1"}}}
	old, young := object{"shop/old", 1}, object{"blog/young", 2}
	small := testSafety()
	small.MaxRoutes, small.MaxConditionalRoutes, small.MaxTotalConditionalRoutes = 3, 2, 3
	many := make([]haproxy.Target, haproxy.MaxTargets+1)
	for _, row := range []struct {
		name     string
		safety   config.Safety
		claims   []RuleClaim
		want     string // path, order and object of each route
		problems string
	}{
		{
			"the position of each route", testSafety(),
			[]RuleClaim{
				claim(old, 0, haproxy.Route{Path: "/a"}), claim(old, 1, haproxy.Route{Path: "/a", Conditions: header}), claim(young, 0, haproxy.Route{Path: "/a", Conditions: get}),
				claim(young, 1, haproxy.Route{Path: "/a", Exact: true}), claim(young, 2, haproxy.Route{Path: "/b"}),
			},
			"/a 0 young 0, /a 1 old 1, /a 2 old 0, /a 0 young 1, /b 0 young 2", "",
		},
		{
			"the older object has a match that two claim", testSafety(),
			[]RuleClaim{
				claim(young, 0, haproxy.Route{Host: "a.example.com", Path: "/a", Exact: true, Conditions: get}),
				claim(old, 3, haproxy.Route{Host: "a.example.com", Path: "/a", Exact: true, Conditions: get}),
				claim(young, 1, haproxy.Route{Path: "/b"}),
			},
			"/b 0 young 1, /a 0 old 3",
			"HTTPRoute blog/young: rule 0, match 0: route a.example.com/a (exact) with method is GET is taken by HTTPRoute shop/old, rule 3, match 0, which is older\n",
		},
		{
			"objects of one age by name", testSafety(),
			[]RuleClaim{claim(object{"b/x", 1}, 0, haproxy.Route{Path: "/a"}), claim(object{"a/x", 1}, 0, haproxy.Route{Path: "/a", Conditions: &haproxy.Conditions{}})},
			"/a 0 x 0",
			"HTTPRoute b/x: rule 0, match 0: route */a is taken by HTTPRoute a/x, rule 0, match 0, which comes first by name\n",
		},
		{
			"a match twice in one object", testSafety(),
			[]RuleClaim{claim(old, 1, haproxy.Route{Path: "/a"}), claim(old, 0, haproxy.Route{Path: "/a"})},
			"/a 0 old 0",
			"HTTPRoute shop/old: rule 1, match 0: route */a is taken by rule 0, match 0 of the same object\n",
		},
		{
			"an invalid rule", testSafety(),
			[]RuleClaim{
				claim(old, 0, haproxy.Route{Path: "/a"}), claim(old, 1, haproxy.Route{Path: "/b", Actions: &haproxy.Actions{Targets: many}}),
				claim(old, 2, haproxy.Route{Path: "/c", Actions: &haproxy.Actions{Targets: []haproxy.Target{{Weight: 1_000_001}}}}),
				claim(old, 3, haproxy.Route{Path: "/d", Conditions: &haproxy.Conditions{Query: make([]haproxy.ValueMatch, 33)}}), claim(young, 0, haproxy.Route{Path: "/a"}),
			},
			"/a 0 young 0",
			"HTTPRoute shop/old: rule 1, match 0: it has 17 targets, more than 16; the object is not served\n" +
				"HTTPRoute shop/old: rule 2, match 0: weight 1000001 is not between 0 and 1000000; the object is not served\n" +
				"HTTPRoute shop/old: rule 3, match 0: it has 33 conditions, more than 32; the object is not served\n",
		},
		{
			"too many routes of a namespace", small,
			[]RuleClaim{
				claim(old, 0, haproxy.Route{Path: "/a"}), claim(old, 1, haproxy.Route{Path: "/b"}),
				claim(object{"shop/young", 2}, 0, haproxy.Route{Path: "/c"}), claim(object{"shop/young", 2}, 1, haproxy.Route{Path: "/cc"}),
				claim(object{"shop/small", 3}, 0, haproxy.Route{Path: "/e"}), claim(young, 0, haproxy.Route{Path: "/d"}),
			},
			"/a 0 old 0, /b 0 old 1, /d 0 young 0, /e 0 small 0",
			"HTTPRoute shop/young: not served: its namespace has 2 routes, and 2 more exceed safety.max_routes in podgate.toml\n",
		},
		{
			"too many routes with conditions of a namespace", small,
			[]RuleClaim{
				claim(old, 0, haproxy.Route{Path: "/a", Conditions: get}), claim(object{"shop/young", 2}, 0, haproxy.Route{Path: "/b", Conditions: get}),
				claim(object{"shop/young", 2}, 1, haproxy.Route{Path: "/b", Conditions: header}), claim(object{"shop/small", 3}, 0, haproxy.Route{Path: "/b"}),
			},
			"/a 0 old 0, /b 0 small 0",
			"HTTPRoute shop/young: not served: its namespace has 1 routes with conditions, and 2 more exceed safety.max_conditional_routes in podgate.toml\n",
		},
		{
			"too many routes with conditions", small,
			[]RuleClaim{
				claim(old, 0, haproxy.Route{Path: "/a", Conditions: get}), claim(old, 1, haproxy.Route{Path: "/a", Conditions: header}),
				claim(young, 0, haproxy.Route{Path: "/b", Conditions: get}), claim(young, 1, haproxy.Route{Path: "/b", Conditions: header}),
			},
			"/a 0 old 0, /a 1 old 1",
			"HTTPRoute blog/young: not served: podgate has 2 routes with conditions, and 2 more exceed safety.max_total_conditional_routes in podgate.toml\n",
		},
	} {
		rand.Shuffle(len(row.claims), func(i, j int) { row.claims[i], row.claims[j] = row.claims[j], row.claims[i] })
		routes, problems := MergeRules(row.safety, row.claims)
		var got []string
		for _, r := range routes {
			got = append(got, fmt.Sprintf("%s %d %s %d", r.Path, r.Order, r.Origin.Name, r.Origin.Rule))
		}
		if diff := cmp.Diff(row.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s: routes (-want +got):\n%s", row.name, diff)
		}
		if diff := cmp.Diff(row.problems, problemLines(problems)); diff != "" {
			t.Errorf("%s: Problems (-want +got):\n%s", row.name, diff)
		}
	}
}

func TestProblemsOfOneObjectAreLimited(t *testing.T) {
	var claims []RuleClaim
	for i := range 200 {
		o := haproxy.Origin{Kind: "HTTPRoute", Namespace: "shop", Name: "cart", Rule: i}
		claims = append(claims, RuleClaim{Route: haproxy.Route{Path: "/a", Origin: &o}})
	}
	_, problems := MergeRules(testSafety(), claims)
	if len(problems) != maxProblems+1 || !strings.HasPrefix(problems[0].String(), "HTTPRoute shop/cart: and 149 more problems") {
		t.Errorf("got %d Problems, the first is %s", len(problems), problems[0])
	}
}
