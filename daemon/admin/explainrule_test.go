// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// newRuleView returns a View with the Routes of an HTTPRoute.
func newRuleView(t *testing.T) *View {
	v := newView(t, 3, 1)
	origin := func(rule int) *haproxy.Origin {
		return &haproxy.Origin{Kind: "HTTPRoute", Namespace: "shop", Name: "cart", Rule: rule}
	}
	backend := func(i int) string { return v.Result.State.Backends.At(i).Name }
	s := v.Result.State
	s.Settings.Rules = true
	s.Routes = append([]haproxy.Route{
		{
			Host: "shop.example.com", Path: "/cart", Rewrite: "/new", Origin: origin(0),
			Conditions: &haproxy.Conditions{Method: "POST", Headers: []haproxy.ValueMatch{{Name: "x-version", Value: "v2"}}},
			Actions: &haproxy.Actions{
				Targets: []haproxy.Target{
					{Backend: backend(0), Weight: 7, Response: haproxy.HeaderChanges{Remove: []string{"server"}}}, {Backend: backend(1), Weight: 2}, {Weight: 1},
				},
				Host: "cart.internal", Timeout: time.Second, Request: haproxy.HeaderChanges{Set: []haproxy.Header{{Name: "x-edge", Value: "1"}}, Add: []haproxy.Header{{Name: "x-via", Value: "podgate"}}},
			},
		},
		{Host: "shop.example.com", Path: "/cart", Origin: origin(1), Order: 1, Conditions: &haproxy.Conditions{Method: "POST"}, Actions: &haproxy.Actions{Answer: 403}},
		{Host: "shop.example.com", Path: "/moved", Origin: origin(2), Actions: &haproxy.Actions{Location: &haproxy.Location{Scheme: "https", Code: 301}}},
		{Host: "shop.example.com", Path: "/none", Origin: origin(3), Actions: &haproxy.Actions{}},
		{Host: "shop.example.com", Path: "/one", Exact: true, Origin: origin(4), Backend: backend(2)},
		{Host: "**.example.com", Path: "/one", Origin: origin(5), Actions: &haproxy.Actions{CORS: &haproxy.CORS{Origins: []string{"*"}, Methods: []string{"PUT"}}}, Backend: "unknown"},
	}, s.Routes...)
	v.Result.State = s
	return v
}

func TestExplainOfRules(t *testing.T) {
	v := newRuleView(t)
	server := newServer(v)
	for _, row := range []struct {
		name    string
		of      string
		method  string
		headers []string
		want    string // the lines until those of the backends
	}{
		{"a rule with targets", "shop.example.com/cart/1?a=b", "POST", []string{"X-Version: v2"}, `POST http://shop.example.com/cart/1?a=b is routed by weight to one of 3 targets of HTTPRoute shop/cart rule 0 match 0
  header    x-version: v2
  frontend  podgate_http on 0.0.0.0:80
  the pod sees the path /new/1
  rule      HTTPRoute shop/cart rule 0 match 0
  because   method is POST, header x-version is v2
  the pod sees the host cart.internal
  effect    answers 504 if a server is silent for 1s

Targets
  70 %  weight 7  Service shop/svc-00000 port web, backend shop_svc-00000_80  sets request header x-edge: 1, adds request header x-via: podgate, removes response header server
  20 %  weight 2  Service shop/svc-00001 port web, backend shop_svc-00001_80  sets request header x-edge: 1, adds request header x-via: podgate
  10 %  weight 1  invalid reference: HAProxy answers 500  sets request header x-edge: 1, adds request header x-via: podgate

Matching routes
  shop.example.com/cart  HTTPRoute shop/cart rule 0 match 0  used, method is POST, header x-version is v2
  shop.example.com/cart  HTTPRoute shop/cart rule 1 match 0  not used: a route with more header conditions has priority, method is POST
`},
		{"a fixed answer", "shop.example.com/cart", "POST", nil, `POST http://shop.example.com/cart is answered with 403 by HTTPRoute shop/cart rule 1 match 0
  frontend  podgate_http on 0.0.0.0:80
  rule      HTTPRoute shop/cart rule 1 match 0
  because   method is POST

Matching routes
  shop.example.com/cart  HTTPRoute shop/cart rule 1 match 0  used, method is POST

Routes whose conditions the request does not meet
  shop.example.com/cart  HTTPRoute shop/cart rule 0 match 0  not met: header x-version is v2
`},
		{"no condition is met", "shop.example.com/cart", "", []string{"x-version: v1", "x-version: v2"}, `http://shop.example.com/cart no route matches: HAProxy answers 404
  header    x-version: v1
  header    x-version: v2
  frontend  podgate_http on 0.0.0.0:80

Routes whose conditions the request does not meet
  shop.example.com/cart  HTTPRoute shop/cart rule 0 match 0  not met: method is POST
  shop.example.com/cart  HTTPRoute shop/cart rule 1 match 0  not met: method is POST

Similar
  shop.example.com/cart  is a route of HTTPRoute shop/cart rule 0 match 0
  shop.example.com/cart  is a route of HTTPRoute shop/cart rule 1 match 0
  shop.example.com/moved  is a route of HTTPRoute shop/cart rule 2 match 0
  shop.example.com/none  is a route of HTTPRoute shop/cart rule 3 match 0
  shop.example.com/one (exact)  is a route of HTTPRoute shop/cart rule 4 match 0
`},
		{"a redirect", "shop.example.com/moved?a", "", nil, `http://shop.example.com/moved?a is redirected to https://shop.example.com/moved?a (301) by HTTPRoute shop/cart rule 2 match 0
  frontend  podgate_http on 0.0.0.0:80
  rule      HTTPRoute shop/cart rule 2 match 0
`},
		{"no valid backend", "shop.example.com/none", "", nil, `http://shop.example.com/none is answered with 500 by HTTPRoute shop/cart rule 3 match 0
  frontend  podgate_http on 0.0.0.0:80
  rule      HTTPRoute shop/cart rule 3 match 0
`},
		{"one backend", "shop.example.com/one", "", nil, `http://shop.example.com/one is routed to Service shop/svc-00002 port web, backend shop_svc-00002_80, by HTTPRoute shop/cart rule 4 match 0
  frontend  podgate_http on 0.0.0.0:80
  the pod sees the path /one
  rule      HTTPRoute shop/cart rule 4 match 0

Targets
  100 %  weight 1  Service shop/svc-00002 port web, backend shop_svc-00002_80

Matching routes
  shop.example.com/one (exact)  HTTPRoute shop/cart rule 4 match 0  used
  **.example.com/one  HTTPRoute shop/cart rule 5 match 0  not used: an exact host has priority over a wildcard
`},
		{"a preflight request", "192.0.2.1/one", "OPTIONS", []string{"Host: a.b.example.com", "Origin: https://x.test", "Access-Control-Request-Method: PUT"}, `OPTIONS http://192.0.2.1/one is a preflight request: HAProxy answers 204 by HTTPRoute shop/cart rule 5 match 0
  header    host: a.b.example.com
  header    origin: https://x.test
  header    access-control-request-method: PUT
  frontend  podgate_http on 0.0.0.0:80
  rule      HTTPRoute shop/cart rule 5 match 0
  effect    sets response header access-control-allow-origin: *
  effect    sets response header access-control-allow-methods: PUT
`},
		{"a Service with a method", "shop/svc-00000", "POST", nil, "error: a method and headers are for a URL"},
		{"a header without a value", "shop.example.com", "", []string{"x"}, `error: header "x": write it as "Name: value"`},
		{"a method that is none", "shop.example.com", "GE T", nil, `error: method "GE T" is not valid`},
		{"a header of two lines", "shop.example.com", "", []string{"x: a\nb"}, "error: header x: the value contains a control character"},
	} {
		q, err := NewQuery(row.of, row.method, row.headers)
		var x Explanation
		if err == nil {
			x, err = Explain(t.Context(), v, q)
		}
		var text bytes.Buffer
		x.Print(&text, Style{})
		got := text.String()
		if err != nil {
			got = "error: " + err.Error()
		}
		if cut := strings.Index(got, "\nService "); cut >= 0 {
			got = got[:cut]
		}
		if !strings.HasPrefix(squeeze(got), squeeze(row.want)) {
			t.Errorf("%s (-want +got):\n%s", row.name, cmp.Diff(squeeze(row.want), squeeze(got)))
		}
		if err != nil {
			continue
		}
		answer := httptest.NewRecorder()
		server.routes().ServeHTTP(answer, httptest.NewRequest("GET", "/api/v1/explain?"+q.values().Encode(), nil))
		var again Explanation
		if err := json.Unmarshal(answer.Body.Bytes(), &again); err != nil || again.URL == nil || again.URL.Verdict != x.URL.Verdict || len(again.URL.Unmet) != len(x.URL.Unmet) {
			t.Errorf("%s: the JSON is %s, %v", row.name, answer.Body, err)
		}
	}
}

// squeeze removes the alignment of tables, and the line about HAProxy, which does not run.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "  HAProxy   did not answer: ") {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(lines, "\n")
}

func TestExplainPageHasMethodAndHeader(t *testing.T) {
	answer := httptest.NewRecorder()
	newServer(newRuleView(t)).routes().ServeHTTP(answer, httptest.NewRequest("GET", "/explain?of=shop.example.com/cart&method=POST&header=x-version%3A+v2", nil))
	for _, want := range []string{`name="method" type="text" value="POST"`, `name="header" type="text" value="x-version: v2"`, "is routed by weight to one of 3 targets"} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("the page does not contain %s:\n%s", want, answer.Body)
		}
	}
}
