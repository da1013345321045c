// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/haproxy"
)

// ruleWorld makes random Routes and requests, from alphabets that are so small that most
// requests match several Routes.
type ruleWorld struct {
	*rand.Rand
	listeners []netip.AddrPort
	holds     bool // namespaces hold hosts
}

// state returns a State with these Routes, and other HeldHosts.
func (w ruleWorld) state(b ruleBox, routes []haproxy.Route) haproxy.State {
	s := b.state(routes...)
	s.HeaderNames = headerNames()
	if s.Settings.HoldHosts = w.holds; !w.holds {
		return s
	}
	for _, host := range []haproxy.HostPattern{"**.a.test", "*.a.test", "a.test", "one", "x.a.test"} {
		if w.one(3) {
			s.HeldHosts = append(s.HeldHosts, haproxy.HeldHost{Host: host, Namespace: w.of("even", "odd"), EveryPath: w.one(4)})
		}
	}
	return s
}

func (w ruleWorld) one(n int) bool          { return w.IntN(n) == 0 }
func (w ruleWorld) of(all ...string) string { return all[w.IntN(len(all))] }
func (w ruleWorld) backend() string         { return w.of("b0", "b1", "b2", "b3") }
func (w ruleWorld) host() string            { return w.of("a.test", "x.a.test", "y.x.a.test", "z.test", "one") }
func (w ruleWorld) value() string {
	return w.of("1", "2", "v 1", "a&b", "%", "é", "a=b", "|", `"'\`, "")
}
func (w ruleWorld) regexp() haproxy.Regexp {
	return haproxy.Regexp(w.of("[12]", "v.*", "[^a]*", ".*b", "a?", ".+=.+"))
}
func (w ruleWorld) listener() netip.AddrPort { return w.listeners[w.IntN(len(w.listeners))] }

func (w ruleWorld) path() string {
	return w.of("/", "/a", "/a/", "/a/b", "/A/b", "/a/b/c", "/ab", "/a|b", "/c/a%20b", `/"'`)
}

func (w ruleWorld) match(names ...string) []haproxy.ValueMatch {
	var all []haproxy.ValueMatch
	for _, name := range names {
		if !w.one(2) {
			continue
		}
		m := haproxy.ValueMatch{Name: name, Value: w.value()}
		if w.one(3) {
			m.Value, m.Regexp = "", w.regexp()
		}
		all = append(all, m)
	}
	return all
}

func (w ruleWorld) conditions() *haproxy.Conditions {
	c := &haproxy.Conditions{}
	if w.one(3) {
		c.Method = w.of("GET", "POST", "M|X")
	}
	if w.one(4) {
		c.Path = haproxy.Regexp(w.of("/a.*", "/[^/]*", "/.*b"))
	}
	if w.one(2) {
		c.Headers = w.match("x-h1", "x-h2")
	}
	if w.one(2) {
		c.Query = w.match("p", "q r", "s=&")
	}
	return c
}

func (w ruleWorld) actions(r *haproxy.Route) {
	a := &haproxy.Actions{}
	path := w.of("", "", "/n", "/n/m o")
	switch w.IntN(6) {
	case 0:
		a.Location = &haproxy.Location{
			Scheme: w.of("", "http", "https"), Host: w.of("", "o.test"), Port: uint16(w.IntN(2) * 8080), Code: haproxy.RedirectCodes()[w.IntN(5)],
		}
		if a.Location.FullPath = w.of("", "/new"); a.Location.FullPath == "" {
			a.Location.Rewrite = haproxy.Rewrite(w.of("", "/", "/r"))
		}
		r.Backend = ""
	case 1:
		codes := haproxy.AnswerCodes()
		a.Answer = codes[w.IntN(len(codes))]
		r.Backend = ""
	case 2, 3:
		for range 1 + w.IntN(4) {
			t := haproxy.Target{Backend: w.of("b0", "b1", "b2", "b3", ""), Weight: w.IntN(3)}
			if w.one(3) {
				t.Request, t.Response = w.changes(), w.changes()
			}
			a.Targets = append(a.Targets, t)
		}
		r.Backend = ""
	case 4:
		a.Timeout = time.Duration(w.IntN(3)-1) * 20 * time.Second
	}
	if w.one(2) {
		a.Request, a.Response = w.changes(), w.changes()
	}
	if a.Location == nil && a.Answer == 0 {
		if a.Host = w.of("", "", "other.test", "other.test:81"); w.one(3) {
			a.FullPath = strings.ReplaceAll(path, " ", "%20")
			r.Rewrite = ""
		}
	}
	r.Actions = a
}

// headerNames are the headers that Routes change.
func headerNames() []string { return []string{"x-h1", "x-h2", "x-h3.x"} }

func (w ruleWorld) changes() (c haproxy.HeaderChanges) {
	for _, name := range headerNames() {
		if w.one(4) {
			c.Set = append(c.Set, haproxy.Header{Name: name, Value: w.value()})
		}
		if w.one(4) {
			c.Add = append(c.Add, haproxy.Header{Name: name, Value: w.value()})
		}
		if w.one(6) {
			c.Remove = append(c.Remove, name)
		}
	}
	return c
}

// changed returns the values of the headers after the changes.
func changed(headers map[string][]string, effects []haproxy.HeaderEffect) map[string][]string {
	for _, e := range effects {
		if e.Removes {
			delete(headers, e.Name)
		}
		if len(e.Adds) > 0 {
			headers[e.Name] = append(headers[e.Name], e.Adds...)
		}
	}
	return headers
}

func headerText(headers map[string][]string) string {
	text := ""
	for _, name := range headerNames() {
		if values, ok := headers[name]; ok {
			text += fmt.Sprintf(" %s=%q", name, values)
		}
	}
	return text
}

func (w ruleWorld) routes(n int) []haproxy.Route {
	orders := map[haproxy.Route]int{}
	var routes []haproxy.Route
	for range n {
		r := haproxy.Route{Backend: w.backend(), Host: haproxy.HostPattern(w.of("", "a.test", "x.a.test", "*.a.test", "**.a.test", "**.x.a.test", "**.test", "one"))}
		if w.one(4) {
			r.Listener = w.listeners[w.IntN(len(w.listeners)-1)]
		}
		path := w.path()
		if r.Exact = w.one(4); !r.Exact {
			path = strings.TrimSuffix(path, "/")
		}
		r.Path = haproxy.PathPrefix(path)
		if prefix, err := haproxy.ParsePathPrefix(cmp.Or(path, "/")); !r.Exact && (err != nil || prefix != r.Path) {
			r.Path = "/a"
		}
		if r.Exact && strings.ContainsAny(path, `"'|`) {
			r.Path = "/a/"
		}
		switch {
		case w.one(6) && r.Path != "" && !r.Exact && !r.Listener.IsValid() && !strings.HasPrefix(string(r.Host), "**."):
			r.FoldCase, r.Path = true, haproxy.PathPrefix(strings.ToLower(string(r.Path)))
		case w.one(2):
			r.Conditions = w.conditions()
		}
		if w.one(4) {
			r.Rewrite = haproxy.Rewrite(w.of("/", "/w"))
		}
		if w.one(2) && !r.FoldCase {
			w.actions(&r)
		}
		if w.holds && r.Host == "" && !r.Listener.IsValid() {
			r.Namespace = w.of("even", "odd")
		}
		at := haproxy.Route{Host: r.Host, Path: r.Path, Listener: r.Listener, Exact: r.Exact, FoldCase: r.FoldCase}
		if r.FoldCase && orders[at] > 0 {
			continue
		}
		r.Order = orders[at]
		orders[at]++
		routes = append(routes, r)
	}
	return routes
}

func (w ruleWorld) request() haproxy.Request {
	r := haproxy.Request{To: w.listener(), Host: w.host(), Path: w.path(), Method: w.of("GET", "GET", "POST", "M|X")}
	if w.one(8) {
		r.Host += ":80"
	}
	for _, name := range []string{"p", "q+r", "q%20r", "s%3d%26", "p"} {
		if w.one(3) {
			value := strings.NewReplacer("%", "%25", "&", "%26", " ", w.of("+", "%20"), "é", "%c3%A9", `"`, "%22").Replace(w.value())
			r.Query += "&" + name + "=" + value
		}
	}
	r.Query = strings.TrimPrefix(r.Query, "&")
	for range w.IntN(4) {
		r.Headers = append(r.Headers, haproxy.Header{Name: w.of("X-H1", "x-h2"), Value: w.value()})
	}
	return r
}

// outcomes returns the answers that a request may get: one for each random number.
func outcomes(s haproxy.State, r haproxy.Request) []string {
	const maxTotal = 8 // of the weights
	var all []string
	for random := range maxTotal {
		o, ok := s.Outcome(r, random)
		if !ok {
			return []string{"404 |"}
		}
		answer := fmt.Sprint(o.Code)
		switch {
		case o.Location != "":
			answer += " " + o.Location
		case o.Backend != "":
			sent := map[string][]string{}
			for _, h := range r.Headers {
				name := strings.ToLower(h.Name)
				sent[name] = append(sent[name], h.Value)
			}
			answer = fmt.Sprintf("%s %s %s%s", o.Backend, o.Host, o.Path, headerText(changed(sent, o.Request)))
		}
		all = append(all, answer+" |"+headerText(changed(map[string][]string{}, o.Response)))
	}
	return all
}

// TestRulesAgreeWithHAProxy changes random Routes at run time, and asserts that HAProxy
// answers random requests as Match returns, without a reload.
func TestRulesAgreeWithHAProxy(t *testing.T) {
	seed := *walkSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("to repeat: go test -run TestRulesAgreeWithHAProxy -seed %d -steps %d", seed, *walkSteps)
	for _, holds := range []bool{false, true} {
		t.Run(fmt.Sprintf("hold hosts %t", holds), func(t *testing.T) { walkRules(t, seed, holds) })
	}
}

func walkRules(t *testing.T, seed uint64, holds bool) {
	b := newRuleBox(t)
	w := ruleWorld{rand.New(rand.NewPCG(seed, 0)), b.listeners, holds}
	routes := renumbered(w.routes(24))
	loaded := w.state(b, routes)
	b.load(t, loaded)
	have := loaded
	for step := range *walkSteps {
		if step > 0 {
			routes = slices.DeleteFunc(routes, func(haproxy.Route) bool { return w.one(6) })
			routes = renumbered(append(routes, w.routes(6)...))
			have = w.state(b, routes)
			b.reachRules(t, loaded, have)
		}
		observed, err := b.Maps(t.Context())
		must(t, err)
		if !holds {
			compare(t, "the Routes of the maps", reached(have.Routes), haproxy.ParseRoutes(observed))
		}
		if t.Failed() {
			t.FailNow()
		}
		for range 40 {
			r := w.request()
			want := outcomes(have, r)
			response, body := send(t, r)
			got := fmt.Sprint(response.StatusCode)
			if l := response.Header.Get("Location"); l != "" {
				got += " " + l
			}
			if response.Header.Get("X-Own") != "" {
				got = body
			}
			headers := map[string][]string{}
			for name, values := range response.Header {
				headers[strings.ToLower(name)] = values
			}
			got += " |" + headerText(headers)
			if !slices.Contains(want, got) {
				text := ""
				for _, c := range have.Candidates(r) {
					text += "\n" + c.String()
				}
				t.Fatalf("step %d: %+v: got %q, want one of %q. Candidates:%s\nof\n%s", step, r, got, want, text, have)
			}
		}
	}
}

// renumbered returns the Routes with the Orders of their positions. It omits Routes of one
// place with the same conditions.
func renumbered(routes []haproxy.Route) []haproxy.Route {
	orders := map[haproxy.Route]int{}
	var all []haproxy.Route
	for _, r := range routes {
		at := haproxy.Route{Host: r.Host, Path: r.Path, Listener: r.Listener, Exact: r.Exact, FoldCase: r.FoldCase}
		hidden := func(before haproxy.Route) bool {
			before.Order = r.Order
			return before.Compare(r) == 0 && reflect.DeepEqual(before.Conditions, r.Conditions)
		}
		if slices.ContainsFunc(all, hidden) {
			continue
		}
		r.Order = orders[at]
		orders[at]++
		all = append(all, r)
	}
	return all
}

// reached returns the Routes that a request can match.
func reached(routes []haproxy.Route) []haproxy.Route {
	var all []haproxy.Route
	for _, r := range routes {
		hidden := func(before haproxy.Route) bool {
			before.Order = r.Order
			return before.Compare(r) == 0 && (before.Conditions == nil || reflect.DeepEqual(before.Conditions, r.Conditions))
		}
		if !r.FoldCase && slices.ContainsFunc(all, hidden) {
			continue
		}
		if r.Path == "" && r.Rewrite == "/" {
			r.Rewrite = ""
		}
		if a := r.Actions; a != nil && a.Location != nil {
			r.Rewrite = ""
		}
		all = append(all, r)
	}
	return all
}

// reachRules applies Plans without a reload until the Plan is empty.
func (b ruleBox) reachRules(t *testing.T, loaded, want haproxy.State) {
	t.Helper()
	for range 2 {
		plan := haproxy.Diff(b.observe(t, loaded), want)
		if len(plan.Reload) > 0 {
			t.Fatalf("a reload is needed: %s", plan.Reload)
		}
		if plan.Empty() {
			return
		}
		b.apply(t, plan)
	}
	plan := haproxy.Diff(b.observe(t, loaded), want)
	if !plan.Empty() {
		t.Fatalf("the Plan is not empty: %d maps", len(plan.Maps))
	}
}
