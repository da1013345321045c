// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestOutcome(t *testing.T) {
	get := Request{Host: "Shop.example.com:8080", Path: "/cart/a", Query: "x=1"}
	preflight := Request{Host: "a", Path: "/", Method: "OPTIONS", Headers: []Header{{"Origin", "https://a.example.com"}, {"Access-Control-Request-Method", "PUT"}, {"Access-Control-Request-Headers", "x-a"}}}
	cors := CORS{Origins: []string{"https://*.example.com"}, Methods: []string{"GET", "PUT"}, Headers: []string{"*"}, Expose: []string{"x-b"}, MaxAge: time.Minute}
	withCredentials := cors
	withCredentials.Origins, withCredentials.Methods, withCredentials.Credentials = []string{"*"}, []string{"*"}, true
	targets := []Target{
		{Backend: "none"}, {Backend: "a", Weight: 2}, {Weight: 1},
		{Backend: "b", Weight: 3, Request: HeaderChanges{Add: []Header{{"x-a", "2"}}, Remove: []string{"x-c"}}},
	}
	weighted := Route{Actions: &Actions{Targets: targets, Request: HeaderChanges{Set: []Header{{"x-a", "1"}, {"x-b", "1"}}, Add: []Header{{"x-c", "1"}}}}}
	location := func(path PathPrefix, l Location) Route { return Route{Path: path, Actions: &Actions{Location: &l}} }
	redirected := func(code int, to string) Outcome { return Outcome{Code: code, Location: to} }
	for _, row := range []struct {
		name   string
		route  Route
		r      Request
		random int
		want   Outcome
	}{
		{"a backend", Route{Path: "/cart", Backend: "a"}, get, 0, Outcome{Backend: "a", Host: "Shop.example.com:8080", Path: "/cart/a"}},
		{"a removed prefix", Route{Path: "/cart", Rewrite: "/", Backend: "a"}, get, 0, Outcome{Backend: "a", Host: get.Host, Path: "/a"}},
		{"a replaced prefix", Route{Path: "/cart", Rewrite: "/new", Actions: &Actions{Host: "b.example.com"}, Backend: "a"}, get, 0, Outcome{Backend: "a", Host: "b.example.com", Path: "/new/a"}},
		{"a replaced path", Route{Actions: &Actions{FullPath: "/new", Timeout: time.Second}, Backend: "a"}, get, 0, Outcome{Backend: "a", Host: get.Host, Path: "/new", Timeout: time.Second}},
		{"OPTIONS *", Route{Backend: "a"}, Request{Host: "a", Method: "OPTIONS"}, 0, Outcome{Backend: "a", Host: "a", Path: "*"}},
		{"a fixed answer", Route{Actions: &Actions{Answer: 403}}, get, 0, Outcome{Code: 403}},
		{"no backend", Route{Actions: &Actions{}}, get, 0, Outcome{Code: 500}},
		{"no target", Route{Actions: &Actions{Targets: targets[:1]}}, get, 5, Outcome{Code: 500}},
		{"the first target", weighted, get, 7, Outcome{Backend: "a", Target: 1, Host: get.Host, Path: "/cart/a", Request: []HeaderEffect{{"x-a", true, []string{"1"}}, {"x-b", true, []string{"1"}}, {"x-c", false, []string{"1"}}}}},
		{"an invalid target", weighted, get, 2, Outcome{Target: 2, Code: 500}},
		{"the headers of a target", weighted, get, 5, Outcome{Backend: "b", Target: 3, Host: get.Host, Path: "/cart/a", Request: []HeaderEffect{{"x-a", true, []string{"1", "2"}}, {"x-b", true, []string{"1"}}, {"x-c", true, nil}}}},

		{"to https", Route{Redirect: ToHTTPS, Backend: "a"}, get, 0, redirected(308, "https://shop.example.com/cart/a?x=1")},
		{"to the same place", location("", Location{Code: 301}), get, 0, redirected(301, "http://shop.example.com:8080/cart/a?x=1")},
		{"to another scheme", location("", Location{Scheme: "https"}), get, 0, redirected(302, "https://shop.example.com/cart/a?x=1")},
		{"to another port", location("", Location{Port: 8443, Scheme: "https", Code: 307}), get, 0, redirected(307, "https://shop.example.com:8443/cart/a?x=1")},
		{"to the usual port", location("", Location{Port: 80}), get, 0, redirected(302, "http://shop.example.com/cart/a?x=1")},
		{"to another host", location("", Location{Host: "b.example.com"}), Request{Host: "a", Path: "/"}, 0, redirected(302, "http://b.example.com/")},
		{"to another prefix", location("/cart", Location{Rewrite: "/new", Scheme: "https"}), get, 0, redirected(302, "https://shop.example.com/new/a?x=1")},
		{"to another path", location("/cart", Location{FullPath: "/new", Scheme: "https"}), get, 0, redirected(302, "https://shop.example.com/new?x=1")},
		{"to no host", location("", Location{}), Request{Path: "/"}, 0, Outcome{Code: 400}},

		{"a preflight request", Route{Actions: &Actions{CORS: &cors}, Backend: "a"}, preflight, 0, Outcome{Code: 204, CORS: []Header{
			{"access-control-allow-origin", "https://a.example.com"}, {"access-control-allow-methods", "GET,PUT"}, {"access-control-allow-headers", "*"}, {"access-control-max-age", "60"},
		}}},
		{"a preflight request with credentials", Route{Actions: &Actions{CORS: &withCredentials}, Backend: "a"}, preflight, 0, Outcome{Code: 204, CORS: []Header{
			{"access-control-allow-origin", "https://a.example.com"}, {"access-control-allow-credentials", "true"}, {"access-control-allow-methods", "PUT"}, {"access-control-allow-headers", "x-a"}, {"access-control-max-age", "60"},
		}}},
		{"a request of an origin", Route{Actions: &Actions{CORS: &cors}, Backend: "a"}, Request{Host: "a", Path: "/", Headers: []Header{{"origin", "https://a.example.com"}}}, 0, Outcome{
			Backend: "a", Host: "a", Path: "/", CORS: []Header{{"access-control-allow-origin", "https://a.example.com"}, {"access-control-expose-headers", "x-b"}},
		}},
		{"a request of another origin", Route{Actions: &Actions{CORS: &cors}, Backend: "a"}, Request{Host: "a", Path: "/", Headers: []Header{{"origin", "https://.example.com"}}}, 0, Outcome{Backend: "a", Host: "a", Path: "/"}},
	} {
		if row.want.Target == 0 {
			row.want.Target = -1
		}
		ignored := []string{"Route"}
		if row.want.Backend == "" {
			ignored = append(ignored, "Host", "Path") // no server gets the request
		}
		got, ok := State{Routes: []Route{row.route}}.Outcome(row.r, row.random)
		if diff := cmp.Diff(row.want, got, cmpopts.IgnoreFields(Outcome{}, ignored...)); diff != "" || !ok {
			t.Errorf("%s: %t (-want +got):\n%s", row.name, ok, diff)
		}
	}
	if got, ok := (State{Routes: []Route{{Path: "/a"}}}).Outcome(get, 0); ok {
		t.Errorf("a request without a Route has the outcome %v", got)
	}
	listener := netip.MustParseAddrPort("192.0.2.1:8081")
	s := State{Routes: []Route{{Listener: listener, Actions: &Actions{Location: &Location{Host: "b"}}}}}
	if got, _ := s.Outcome(Request{Host: "a:80", To: listener, Path: "/"}, 0); got.Location != "http://b:8081/" {
		t.Errorf("a listener redirects to %s", got.Location)
	}
}
