// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"podgate/haproxy"
)

// ExplainedRule is what the Route of an object other than a Service does with a request.
type ExplainedRule struct {
	Origin     string            `json:"origin,omitempty"`     // "HTTPRoute shop/cart rule 0 match 1"
	Conditions []string          `json:"conditions,omitempty"` // that the request meets
	Answer     int               `json:"answer,omitempty"`     // status of HAProxy's own answer; zero for none
	Location   string            `json:"location,omitempty"`   // where the client is redirected to
	Host       string            `json:"host,omitempty"`       // that the pod sees, if it is replaced
	Changes    []string          `json:"changes,omitempty"`    // of headers, and the timeout
	Targets    []ExplainedTarget `json:"targets,omitempty"`    // where requests are routed by weight
}

// ExplainedTarget is one target of a rule.
type ExplainedTarget struct {
	Service string         `json:"service,omitempty"` // and its port; "" for an invalid reference
	Backend string         `json:"backend,omitempty"`
	Weight  int            `json:"weight"`
	Percent float64        `json:"percent"` // of the requests
	Changes []string       `json:"changes,omitempty"`
	Port    *ExplainedPort `json:"port,omitempty"`
}

// UnmetRoute is a route of the request's host and path whose conditions it does not meet.
type UnmetRoute struct {
	Route  string   `json:"route"`
	Origin string   `json:"origin"`
	Unmet  []string `json:"unmet"`
}

// request returns the request that a URL and a Query are about.
func (q Query) request(tls bool, host, path, query string) haproxy.Request {
	r := haproxy.Request{TLS: tls, Host: host, Path: path, Method: q.Method, Query: query}
	for _, h := range q.Headers {
		if h.Name == "host" {
			r.Host = h.Value
		} else {
			r.Headers = append(r.Headers, h)
		}
	}
	return r
}

// unmet sets Unmet.
func (x *ExplainedURL) unmet(v *View, r haproxy.Request) {
	for _, route := range v.Result.State.Candidates(r) {
		if failed := route.Conditions.Unmet(r); len(failed) > 0 {
			x.Unmet = append(x.Unmet, UnmetRoute{routeText(route), originText(v, route), failed})
		}
	}
}

// routeText names what a Route matches.
func routeText(r haproxy.Route) string {
	text := r.URL() + r.CaseNote()
	if r.Exact {
		text += " (exact)"
	}
	return text
}

// originText names the object of a Route.
func originText(v *View, r haproxy.Route) string {
	if r.Origin != nil {
		return r.Origin.String()
	}
	port, _ := v.Result.Service(r.Backend)
	return "Service " + port.String()
}

// hasRule reports whether a Route does more than those of Services.
func hasRule(r haproxy.Route) bool {
	return r.Origin != nil || r.Actions != nil || r.Conditions != nil
}

// rule sets Rule and the Verdict, for a request that this Route matches.
func (x *ExplainedURL) rule(ctx context.Context, v *View, r haproxy.Request) {
	o, ok := v.Result.State.Outcome(r, 0)
	if !ok || !hasRule(o.Route) {
		return
	}
	var a haproxy.Actions
	if o.Route.Actions != nil {
		a = *o.Route.Actions
	}
	x.Rule = &ExplainedRule{Origin: originText(v, o.Route), Conditions: o.Route.Conditions.Text()}
	by := "by " + x.Rule.Origin
	answers := a.Location != nil || a.Answer != 0 || o.Target < 0 && o.Code != 0
	switch {
	case o.Location != "":
		x.Rule.Location, x.Rule.Answer, x.Redirect = o.Location, o.Code, o.Location
		x.verdict("is redirected to %s (%d) %s", o.Location, o.Code, by)
	case a.Location != nil && o.Code == 400:
		x.Rule.Answer = o.Code
		x.verdict("is to be redirected %s, but has no host: HAProxy answers 400", by)
	case o.Code == 204 && len(o.CORS) > 0:
		x.Rule.Answer = o.Code
		x.verdict("is a preflight request: HAProxy answers 204 %s", by)
	case answers:
		x.Rule.Answer = o.Code
		x.verdict("is answered with %d %s", o.Code, by)
	}
	x.Rule.Changes = append(x.Rule.Changes, corsTexts(o.CORS)...)
	if answers || o.Code == 204 {
		x.Path = ""
		return
	}
	x.Path = o.Path
	if a.Host != "" {
		x.Rule.Host = a.Host
	}
	x.Rule.Changes = append(x.Rule.Changes, timeoutText(a.Timeout)...)
	targets := a.Targets
	if targets == nil {
		targets = []haproxy.Target{{Backend: o.Route.Backend, Weight: 1}}
	}
	x.Rule.Targets = explainTargets(ctx, v, a, targets)
	x.verdict("%s %s", targetsVerdict(x.Rule.Targets), x.Rule.Origin)
}

// verdict sets the Verdict unless something before the Route decided.
func (x *ExplainedURL) verdict(format string, args ...any) {
	if x.Verdict == "" {
		x.Verdict = fmt.Sprintf(format, args...)
	}
}

func targetsVerdict(targets []ExplainedTarget) string {
	i := slices.IndexFunc(targets, func(t ExplainedTarget) bool { return t.Percent == 100 })
	switch {
	case i < 0:
		return fmt.Sprintf("is routed by weight to one of %d targets of", len(targets))
	case targets[i].Backend == "":
		return "is answered with 500 by"
	case targets[i].Service == "":
		return "is routed to backend " + targets[i].Backend + " by"
	}
	return fmt.Sprintf("is routed to Service %s, backend %s, by", targets[i].Service, targets[i].Backend)
}

// explainTargets explains each target with its share of the requests.
func explainTargets(ctx context.Context, v *View, a haproxy.Actions, targets []haproxy.Target) []ExplainedTarget {
	total := 0
	for _, t := range targets {
		total += t.Weight
	}
	all := make([]ExplainedTarget, len(targets))
	for i, t := range targets {
		all[i] = ExplainedTarget{
			Backend: t.Backend, Weight: t.Weight, Percent: 100 * float64(t.Weight) / float64(max(1, total)),
			Changes: slices.Concat(headerTexts("request", a.Request.Effects(t.Request)), headerTexts("response", a.Response.Effects(t.Response))),
		}
		if t.Backend != "" {
			all[i].Service, all[i].Port = portOf(ctx, v, t.Backend)
		}
	}
	return all
}

// portOf returns the Service port of a backend, "" and nil if it has none.
func portOf(ctx context.Context, v *View, backend string) (string, *ExplainedPort) {
	port, ok := v.Result.Service(backend)
	if !ok {
		return "", nil
	}
	e, _ := v.Result.Explain(port.Service)
	for _, p := range e.Ports {
		if p.Backend != nil && p.Backend.Name == backend {
			explained, err := explainPort(ctx, v, p)
			if err != nil {
				explained.Note = cmp.Or(explained.Note, err.Error())
			}
			return port.String(), &explained
		}
	}
	return port.String(), nil
}

// headerTexts describes changes of the headers of a request or a response.
func headerTexts(of string, effects []haproxy.HeaderEffect) (all []string) {
	for _, e := range effects {
		for i, value := range e.Adds {
			verb := "adds"
			if e.Removes && i == 0 {
				verb = "sets"
			}
			all = append(all, fmt.Sprintf("%s %s header %s: %s", verb, of, e.Name, value))
		}
		if e.Removes && len(e.Adds) == 0 {
			all = append(all, fmt.Sprintf("removes %s header %s", of, e.Name))
		}
	}
	return all
}

func corsTexts(headers []haproxy.Header) (all []string) {
	for _, h := range headers {
		all = append(all, fmt.Sprintf("sets response header %s: %s", h.Name, h.Value))
	}
	return all
}

func timeoutText(d time.Duration) []string {
	switch {
	case d == 0:
		return nil
	case d < 0:
		return []string{"does not limit the time that a server may be silent"}
	}
	return []string{fmt.Sprintf("answers 504 if a server is silent for %s", d)}
}

// compareRules sets HAProxy: whether it finds the entries of its maps for the host and path
// that it should.
func (x *ExplainedURL) compareRules(ctx context.Context, v *View, r haproxy.Request) {
	names, err := v.Edge.Runtime.SpareNames(ctx)
	if err != nil {
		x.HAProxy = "did not answer: " + err.Error()
		return
	}
	want := v.Result.State.TakingSpares(names).RuleLookups(r)
	have, err := v.Edge.Runtime.Find(ctx, want)
	if err != nil {
		x.HAProxy = "did not answer: " + err.Error()
		return
	}
	x.HAProxy = "finds no route either"
	for i, l := range have {
		want[i].Found, l.Found = want[i].Found.WithOwnName(names), l.Found.WithOwnName(names)
		switch {
		case l.Found != want[i].Found && l.Found.Key == "":
			x.HAProxy = "does not have this route yet"
			return
		case l.Found != want[i].Found:
			x.HAProxy = fmt.Sprintf("still uses another route: %s.map: %s %s", l.Map, l.Found.Key, l.Found.Value)
			return
		case l.Found.Key != "" && x.HAProxy == "finds no route either":
			x.HAProxy = fmt.Sprintf("finds %s.map: %s %s", l.Map, l.Found.Key, l.Found.Value)
		}
	}
}

// whyRuleNot returns why a matching Route is not used, if its host and path are those of
// the one that is used.
func whyRuleNot(taken, r haproxy.Route) string {
	t, o := conditions(taken), conditions(r)
	switch {
	case t.Path != "" && len(t.Path) != len(o.Path):
		return "not used: a longer regular expression for the path has priority"
	case t.Method != "" && o.Method == "":
		return "not used: a route with a method has priority"
	case len(t.Headers) != len(o.Headers):
		return "not used: a route with more header conditions has priority"
	case len(t.Query) != len(o.Query):
		return "not used: a route with more query conditions has priority"
	case taken.Origin != nil && r.Origin != nil && taken.Origin.Kind == r.Origin.Kind && taken.Origin.Namespace == r.Origin.Namespace && taken.Origin.Name == r.Origin.Name:
		return "not used: an earlier rule of the same object has priority"
	}
	return "not used: an older object has priority"
}

func conditions(r haproxy.Route) haproxy.Conditions {
	if r.Conditions == nil {
		return haproxy.Conditions{}
	}
	return *r.Conditions
}

// ruleText prints a rule.
func (p printer) rule(r *ExplainedRule) {
	p.line("  rule      %s", r.Origin)
	if len(r.Conditions) > 0 {
		p.line("  because   %s", strings.Join(r.Conditions, ", "))
	}
	if r.Host != "" {
		p.line("  the pod sees the host %s", r.Host)
	}
	for _, c := range r.Changes {
		p.line("  effect    %s", c)
	}
	if len(r.Targets) == 0 {
		return
	}
	p.head("Targets")
	rows := make([][]string, len(r.Targets))
	for i, t := range r.Targets {
		rows[i] = []string{fmt.Sprintf("%.4g %%", t.Percent), fmt.Sprintf("weight %d", t.Weight), t.text(), strings.Join(t.Changes, ", ")}
	}
	p.table(nil, rows, nil)
}

func (t ExplainedTarget) text() string {
	switch {
	case t.Backend == "":
		return "invalid reference: HAProxy answers 500"
	case t.Service == "":
		return "backend " + t.Backend
	}
	return "Service " + t.Service + ", backend " + t.Backend
}
