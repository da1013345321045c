// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// RuleClaim is a Route that an object claims, of whatever kind.
type RuleClaim struct {
	Route   haproxy.Route // with Origin; Order is ignored
	Created time.Time     // of the object; the zero value is younger than all others
}

// CompareRules orders claims by precedence: of those that match a request, the first is
// served. The order is that of the Gateway API (HTTPRouteRule.matches): the most special
// host, an exact path, the longest prefix, a method, the most headers, the most query
// parameters, the oldest object, its namespace and name, the first rule in it. A regular
// expression for the path, whose precedence the API does not specify, is after the
// prefixes other than "/", and a longer one is before a shorter one.
func CompareRules(a, b RuleClaim) int {
	x, y := conditionsOf(a.Route), conditionsOf(b.Route)
	return cmp.Or(
		a.Route.ComparePrecedence(b.Route),
		cmp.Compare(len(y.Path), len(x.Path)),
		cmp.Compare(min(len(y.Method), 1), min(len(x.Method), 1)),
		cmp.Compare(len(y.Headers), len(x.Headers)),
		cmp.Compare(len(y.Query), len(x.Query)),
		compareObjects(a, b),
		cmp.Compare(a.Route.Origin.Rule, b.Route.Origin.Rule),
		cmp.Compare(a.Route.Origin.Match, b.Route.Origin.Match),
	)
}

func conditionsOf(r haproxy.Route) haproxy.Conditions {
	if r.Conditions == nil {
		return haproxy.Conditions{}
	}
	return *r.Conditions
}

// compareObjects orders claims by the age of their objects, then by "namespace/name".
func compareObjects(a, b RuleClaim) int {
	x, y := a.Route.Origin, b.Route.Origin
	return cmp.Or(
		compareCreated(a.Created, b.Created),
		strings.Compare(x.Namespace+"/"+x.Name, y.Namespace+"/"+y.Name),
		strings.Compare(x.Kind, y.Kind),
	)
}

func compareCreated(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

// MergeRules returns the Routes of all claims, with Order, sorted by Route.Compare, and the
// Problems of the claims that are not served. Of several claims with the same match, that
// of the oldest object is served. An object with an invalid claim, or with one that exceeds
// a limit, is not served at all: without some of its Routes, others of them could serve
// requests that they are not for.
func MergeRules(safety config.Safety, claims []RuleClaim) ([]haproxy.Route, []Problem) {
	m := ruleMerger{safety: safety, has: map[ruleMatch]RuleClaim{}, routes: map[string]int{}, conditional: map[string]int{}}
	claims = slices.Clone(claims)
	slices.SortFunc(claims, func(a, b RuleClaim) int {
		return cmp.Or(compareObjects(a, b), cmp.Compare(a.Route.Origin.Rule, b.Route.Origin.Rule), cmp.Compare(a.Route.Origin.Match, b.Route.Origin.Match))
	})
	for len(claims) > 0 {
		n := slices.IndexFunc(claims, func(c RuleClaim) bool { return compareObjects(claims[0], c) != 0 })
		if n < 0 {
			n = len(claims)
		}
		m.addObject(claims[:n])
		claims = claims[n:]
	}
	return m.ordered(), sortProblems(m.problems)
}

// ruleMatch identifies what a Route matches.
type ruleMatch struct {
	place      haproxy.Route // TLS, Listener, Host, Path, FoldCase and Exact
	conditions string
}

func placeOf(r haproxy.Route) haproxy.Route {
	return haproxy.Route{TLS: r.TLS, Listener: r.Listener, Host: r.Host, Path: r.Path, FoldCase: r.FoldCase, Exact: r.Exact}
}

func matchOf(r haproxy.Route) ruleMatch {
	text, err := json.Marshal(conditionsOf(r))
	if err != nil {
		panic(err) // Conditions are strings
	}
	return ruleMatch{placeOf(r), string(text)}
}

// isConditional reports whether HAProxy tries a regular expression for a Route.
func isConditional(r haproxy.Route) bool {
	c := conditionsOf(r)
	return c.Method != "" || c.Path != "" || len(c.Headers)+len(c.Query) > 0
}

// ruleMerger is the state of MergeRules.
type ruleMerger struct {
	safety      config.Safety
	accepted    []RuleClaim
	has         map[ruleMatch]RuleClaim
	routes      map[string]int // by namespace
	conditional map[string]int // by namespace
	total       int            // of conditional
	problems    []Problem
}

// addObject adds the claims of one object.
func (m *ruleMerger) addObject(claims []RuleClaim) {
	var problems []Problem
	report := func(kind Kind, text string) {
		o := claims[0].Route.Origin
		problems = append(problems, Problem{Kind: kind, Object: o.Kind, Service: kubeapi.Key{Namespace: o.Namespace, Name: o.Name}, Text: text})
	}
	taken := map[ruleMatch]RuleClaim{}
	var free []RuleClaim
	conditional := 0
	invalid := false
	for _, c := range claims {
		text := fmt.Sprintf("rule %d, match %d: ", c.Route.Origin.Rule, c.Route.Origin.Match)
		if err := c.Route.Check(); err != nil {
			invalid = true
			report(Invalid, plainText(text+err.Error())+"; the object is not served")
			continue
		}
		match := matchOf(c.Route)
		text += "route " + describeMatch(c.Route) + " is taken by "
		if has, ok := m.has[match]; ok {
			report(Conflict, text+takenBy(c, has))
			continue
		}
		if has, ok := taken[match]; ok {
			report(Conflict, text+takenBy(c, has))
			continue
		}
		taken[match] = c
		free = append(free, c)
		if isConditional(c.Route) {
			conditional++
		}
	}
	if !invalid {
		if why := m.exceeded(claims[0].Route.Origin.Namespace, len(free), conditional); why != "" {
			report(NotGranted, "not served: "+why)
		} else {
			m.accept(claims[0].Route.Origin.Namespace, free, conditional)
		}
	}
	m.problems = append(m.problems, limitRuleProblems(problems)...)
}

// limitRuleProblems is limitProblems for an object of any kind.
func limitRuleProblems(problems []Problem) []Problem {
	if len(problems) == 0 {
		return nil
	}
	object := problems[0].Object
	problems = limitProblems(problems[0].Service, problems)
	problems[len(problems)-1].Object = object
	return problems
}

func (m *ruleMerger) accept(namespace string, claims []RuleClaim, conditional int) {
	for _, c := range claims {
		m.has[matchOf(c.Route)] = c
	}
	m.accepted = append(m.accepted, claims...)
	m.routes[namespace] += len(claims)
	m.conditional[namespace] += conditional
	m.total += conditional
}

// exceeded returns which limit the Routes of one more object exceed; "" for none.
func (m *ruleMerger) exceeded(namespace string, routes, conditional int) string {
	switch {
	case m.routes[namespace]+routes > m.safety.MaxRoutes:
		return fmt.Sprintf("its namespace has %d routes, and %d more exceed safety.max_routes in podgate.toml", m.routes[namespace], routes)
	case conditional == 0:
		return ""
	case m.conditional[namespace]+conditional > m.safety.MaxConditionalRoutes:
		return fmt.Sprintf("its namespace has %d routes with conditions, and %d more exceed safety.max_conditional_routes in podgate.toml", m.conditional[namespace], conditional)
	case m.total+conditional > m.safety.MaxTotalConditionalRoutes:
		return fmt.Sprintf("podgate has %d routes with conditions, and %d more exceed safety.max_total_conditional_routes in podgate.toml", m.total, conditional)
	}
	return ""
}

// describeMatch names what a Route matches.
func describeMatch(r haproxy.Route) string {
	text := r.URL() + r.CaseNote()
	if r.Exact {
		text += " (exact)"
	}
	if r.Listener.IsValid() {
		text += " of listener " + r.Listener.String()
	}
	if all := r.Conditions.Text(); len(all) > 0 {
		text += " with " + strings.Join(all, ", ")
	}
	return plainText(text)
}

// plainText shows a text on one line.
func plainText(text string) string {
	const most = 500
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) || len(text) > most {
		return Quote(text, most)
	}
	return text
}

// takenBy names the claim that a claim conflicts with, and why it is served.
func takenBy(c, has RuleClaim) string {
	o := has.Route.Origin
	rule := fmt.Sprintf("rule %d, match %d", o.Rule, o.Match)
	if compareObjects(c, has) == 0 {
		return rule + " of the same object"
	}
	why := "comes first by name"
	if compareCreated(has.Created, c.Created) < 0 {
		why = "is older"
	}
	return fmt.Sprintf("%s %s, %s, which %s", o.Kind, plain(o.Namespace+"/"+o.Name), rule, why)
}

// ordered returns the Routes of the accepted claims with Order.
func (m *ruleMerger) ordered() []haproxy.Route {
	slices.SortFunc(m.accepted, CompareRules)
	next := map[haproxy.Route]int{}
	routes := make([]haproxy.Route, len(m.accepted))
	for i, c := range m.accepted {
		place := placeOf(c.Route)
		routes[i] = c.Route
		routes[i].Order = next[place]
		next[place]++
	}
	slices.SortFunc(routes, haproxy.Route.Compare)
	return routes
}
