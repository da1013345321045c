// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"podgate/daemon/compile"
	"podgate/haproxy"
)

// ExplainedURL is how one request is handled.
type ExplainedURL struct {
	URL      string         `json:"url"`
	Method   string         `json:"method,omitempty"`   // as asked; "" for GET
	Headers  []string       `json:"headers,omitempty"`  // as asked, "name: value"
	Frontend string         `json:"frontend,omitempty"` // "" for none
	Binds    []string       `json:"binds,omitempty"`
	Verdict  string         `json:"verdict"`            // a sentence
	Redirect string         `json:"redirect,omitempty"` // where the client is redirected to
	TLS      *ExplainedTLS  `json:"tls,omitempty"`      // the handshake before it
	Path     string         `json:"path,omitempty"`     // that the pod sees
	Matches  []MatchedRoute `json:"matches"`            // the one that is used first
	Service  string         `json:"service,omitempty"`
	Port     *ExplainedPort `json:"port,omitempty"`
	HAProxy  string         `json:"haproxy,omitempty"` // what HAProxy finds in its maps
	Rule     *ExplainedRule `json:"rule,omitempty"`    // of a route that does more than those of Services
	Unmet    []UnmetRoute   `json:"unmet,omitempty"`   // routes of this host and path with conditions that the request does not meet
	Near     []string       `json:"near,omitempty"`    // similar routes and Problems, if no route matches
}

// MatchedRoute is a route that matches the request.
type MatchedRoute struct {
	Route      string   `json:"route"`
	Service    string   `json:"service"` // "" for a route of another object
	Backend    string   `json:"backend"`
	Origin     string   `json:"origin,omitempty"` // the object, if it is no Service
	Conditions []string `json:"conditions,omitempty"`
	Why        string   `json:"why"` // why it is used, or is not
}

func explainURL(ctx context.Context, v *View, u *url.URL, q Query) *ExplainedURL {
	x := &ExplainedURL{URL: u.String(), Method: q.Method, Matches: []MatchedRoute{}}
	for _, h := range q.Headers {
		x.Headers = append(x.Headers, h.Name+": "+h.Value)
	}
	if u.Scheme == "tcp" {
		x.tcp(ctx, v, u)
		return x
	}
	tls := u.Scheme == "https"
	name := compile.HTTPFrontend
	if tls {
		name = compile.HTTPSFrontend
	}
	for _, f := range v.Result.State.Frontends {
		if f.Name == name {
			x.Frontend, x.Binds = f.Name, listenTexts(f)
		}
	}
	if x.Frontend == "" {
		x.Verdict = fmt.Sprintf("podgate has no frontend for %s: %s", u.Scheme, whyNoFrontend(v, tls))
	}
	path := haproxy.NormalizePath(cmp.Or(u.EscapedPath(), "/"))
	request := q.request(tls, u.Host, path, u.RawQuery)
	found := v.Result.State.Match(request)
	for i, r := range found {
		m := MatchedRoute{Route: routeText(r), Backend: r.Backend, Conditions: r.Conditions.Text(), Why: "used"}
		if r.Origin != nil {
			m.Origin = r.Origin.String()
		} else {
			port, _ := v.Result.Service(r.Backend)
			m.Service = port.String()
		}
		if i > 0 {
			m.Why = whyNot(found[0], r)
		}
		x.Matches = append(x.Matches, m)
	}
	if tls && x.Frontend != "" {
		x.handshake(ctx, v, u, len(found) > 0 && found[0].Passthrough)
	}
	passed := len(found) > 0 && found[0].Passthrough
	if x.Verdict == "" && v.Result.State.Settings.RejectAmbiguous && haproxy.AmbiguousPath(path) && !passed {
		x.Verdict = "HAProxy answers 400: http.ambiguous_paths in podgate.toml rejects the path"
	}
	x.unmet(v, request)
	switch {
	case len(found) == 0:
		x.unmatched(v, tls, u, path)
	case hasRule(found[0]):
		x.rule(ctx, v, request)
	default:
		x.matched(ctx, v, found[0], u, path)
	}
	switch {
	case x.Frontend == "":
	case v.Result.State.Settings.Rules:
		x.compareRules(ctx, v, request)
	default:
		x.compareWithHAProxy(ctx, v, request)
	}
	return x
}

// whyNoFrontend returns the key of podgate.toml that is the cause.
func whyNoFrontend(v *View, tls bool) string {
	switch h := v.Config.HTTPS; {
	case !tls:
		return "http.bind in podgate.toml is empty"
	case len(h.Binds) == 0:
		return "https.bind in podgate.toml is empty"
	}
	return "https.client_ca in podgate.toml cannot be read"
}

func listenTexts(f haproxy.Frontend) []string {
	all := make([]string, len(f.Binds))
	for i, b := range f.Binds {
		all[i] = b.String()
	}
	return all
}

// whyNot returns why a matching Route is not used.
func whyNot(taken, r haproxy.Route) string {
	switch {
	case taken.Host != r.Host && r.Host == "":
		return "not used: a route with a host has priority"
	case taken.Host != r.Host && strings.HasPrefix(string(taken.Host), "*"):
		return "not used: a longer wildcard has priority"
	case taken.Host != r.Host:
		return "not used: an exact host has priority over a wildcard"
	case taken.Exact && !r.Exact:
		return "not used: an exact path has priority over a prefix"
	case len(taken.Path) != len(r.Path):
		return "not used: a longer path has priority"
	}
	if taken.FoldCase != r.FoldCase {
		return "not used: a case-sensitive path has priority"
	}
	return whyRuleNot(taken, r)
}

func (x *ExplainedURL) matched(ctx context.Context, v *View, r haproxy.Route, u *url.URL, path string) {
	port, _ := v.Result.Service(r.Backend)
	x.Service = port.Service.String()
	switch {
	case x.Verdict != "" || r.Passthrough || r.Redirect != "": // no pod sees the request
	default:
		x.Path = rewritten(r, path)
	}
	if e, ok := v.Result.Explain(port.Service); ok {
		for _, p := range e.Ports {
			if p.Backend != nil && p.Backend.Name == r.Backend {
				explained, err := explainPort(ctx, v, p)
				if err != nil {
					x.HAProxy = err.Error()
				}
				x.Port = &explained
			}
		}
	}
	b, _ := v.Result.State.Backend(r.Backend)
	if x.TLS != nil && !r.Passthrough {
		x.TLS.HSTS = b.HSTS
	}
	nowhere := r.Redirect != "" && haproxy.CanonicalHost(u.Host) == ""
	if r.Redirect != "" && !nowhere {
		x.Redirect = redirection(v, u)
	}
	switch {
	case x.Verdict != "":
	case nowhere:
		x.Verdict = fmt.Sprintf("is to be redirected by redirect-https of Service %s, but has no host: HAProxy answers 400", port.String())
	case x.Redirect != "":
		x.Verdict = fmt.Sprintf("is redirected to %s (308) by redirect-https of Service %s", x.Redirect, port.String())
	case r.Passthrough:
		x.Verdict = fmt.Sprintf("is passed through to Service %s, backend %s, whose pods terminate TLS", port.String(), r.Backend)
	default:
		x.Verdict = fmt.Sprintf("is routed to Service %s, backend %s", port, r.Backend)
	}
}

// redirection is the URL that the frontend redirects a client to.
func redirection(v *View, u *url.URL) string {
	to := url.URL{Scheme: "https", Host: string(haproxy.CanonicalHost(u.Host)), Path: cmp.Or(u.Path, "/"), RawPath: u.RawPath, RawQuery: u.RawQuery}
	if port := v.Result.State.Settings.RedirectPort; port != 0 && port != 443 {
		to.Host += fmt.Sprintf(":%d", port)
	}
	return to.String()
}

// rewritten is the path that a pod receives.
func rewritten(r haproxy.Route, path string) string {
	if r.Rewrite == "" || r.Path == "" || len(path) < len(r.Path) {
		return path
	}
	rest := path[len(r.Path):]
	if r.Rewrite == "/" {
		return "/" + strings.TrimLeft(rest, "/")
	}
	return string(r.Rewrite) + rest
}

// mostNear is the maximum number of similar routes and Problems.
const mostNear = 8

// unmatched sets Near.
func (x *ExplainedURL) unmatched(v *View, tls bool, u *url.URL, path string) {
	if x.Verdict == "" {
		x.Verdict = fmt.Sprintf("no route matches: HAProxy answers %d", v.Config.HTTP.DefaultStatus)
	}
	host := haproxy.CanonicalHost(u.Host)
	if owner := v.Result.State.Holder(host); owner != "" {
		x.Near = append(x.Near, fmt.Sprintf("%s belongs to namespace %s: no route of another namespace matches below it", host, owner))
	}
	for _, r := range v.Result.State.Routes {
		sameHost := host != "" && r.Host == host
		samePath := r.Path != "" && r.Path.Matches(path)
		if len(x.Near) < mostNear && (sameHost || samePath) {
			port, _ := v.Result.Service(r.Backend)
			if r.Origin == nil {
				x.Near = append(x.Near, fmt.Sprintf("%s leads to Service %s", r.URL(), port.String()))
			} else {
				x.Near = append(x.Near, fmt.Sprintf("%s is a route of %s", routeText(r), r.Origin))
			}
		}
	}
	for _, p := range v.Problems {
		if len(x.Near) < mostNear && host != "" && strings.Contains(strings.ToLower(p.Host), string(host)) {
			x.Near = append(x.Near, p.String())
		}
	}
}

// compareWithHAProxy sets HAProxy: the route that HAProxy finds.
func (x *ExplainedURL) compareWithHAProxy(ctx context.Context, v *View, r haproxy.Request) {
	lookups, err := v.Edge.Runtime.Lookup(ctx, r)
	if err != nil {
		x.HAProxy = "did not answer: " + err.Error()
		return
	}
	best, route, ok := haproxy.Choose(lookups)
	want := ""
	if len(x.Matches) > 0 {
		want = x.Matches[0].Backend
	}
	switch {
	case !ok && want == "":
		x.HAProxy = "finds no route either"
	case !ok:
		x.HAProxy = "does not have this route yet"
	case route.Backend == want:
		x.HAProxy = fmt.Sprintf("finds %s.map: %s %s", best.Map, best.Found.Key, best.Found.Value)
	default:
		x.HAProxy = fmt.Sprintf("still uses another route: %s.map: %s %s", best.Map, best.Found.Key, best.Found.Value)
	}
}

func (x *ExplainedURL) tcp(ctx context.Context, v *View, u *url.URL) {
	port, _ := strconv.ParseUint(u.Port(), 10, 16)
	for _, f := range v.Result.State.Frontends {
		if f.Backend == "" || !slices.ContainsFunc(f.Binds, func(b netip.AddrPort) bool { return b.Port() == uint16(port) }) {
			continue
		}
		x.Frontend, x.Binds = f.Name, listenTexts(f)
		if f.TLS != (haproxy.Termination{}) {
			x.handshake(ctx, v, u, false)
		}
		x.matched(ctx, v, haproxy.Route{Backend: f.Backend}, u, "")
		return
	}
	x.Verdict = fmt.Sprintf("no TCP frontend listens on port %s", orNone(u.Port()))
	for _, p := range v.Problems {
		if port != 0 && p.TCPPort == uint16(port) {
			x.Near = append(x.Near, p.String())
		}
	}
}
