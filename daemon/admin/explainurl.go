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

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// ExplainedURL is the way of one request.
type ExplainedURL struct {
	URL      string         `json:"url"`
	Frontend string         `json:"frontend,omitempty"` // "" where there is none for it
	Binds    []string       `json:"binds,omitempty"`
	Verdict  string         `json:"verdict"`        // a sentence
	Path     string         `json:"path,omitempty"` // that the pod sees
	Matches  []MatchedRoute `json:"matches"`        // the one that is taken first
	Service  string         `json:"service,omitempty"`
	Port     *ExplainedPort `json:"port,omitempty"`
	HAProxy  string         `json:"haproxy,omitempty"` // what HAProxy itself finds
	Near     []string       `json:"near,omitempty"`    // what may have been meant, where nothing matches
}

// MatchedRoute is a route that fits the request.
type MatchedRoute struct {
	Route   string `json:"route"`
	Service string `json:"service"`
	Backend string `json:"backend"`
	Why     string `json:"why"` // it is taken, or is not
}

func explainURL(ctx context.Context, v *View, u *url.URL) *ExplainedURL {
	x := &ExplainedURL{URL: u.String(), Matches: []MatchedRoute{}}
	if u.Scheme == "tcp" {
		x.tcp(ctx, v, u)
		return x
	}
	tls := u.Scheme == "https"
	for _, f := range v.Result.State.Frontends {
		if f.Mode == haproxy.HTTP && strings.HasSuffix(f.Name, "_"+u.Scheme) {
			x.Frontend, x.Binds = f.Name, listenTexts(f)
		}
	}
	if x.Frontend == "" {
		x.Verdict = fmt.Sprintf("podgate has no frontend for %s", u.Scheme)
	}
	path := cmp.Or(u.EscapedPath(), "/")
	found := v.Result.State.Match(tls, u.Host, path)
	for i, r := range found {
		port, _ := v.Result.Service(r.Backend)
		m := MatchedRoute{Route: RouteURL(r) + caseNote(r), Service: portText(port), Backend: r.Backend, Why: "is taken"}
		if i > 0 {
			m.Why = whyNot(found[0], r)
		}
		x.Matches = append(x.Matches, m)
	}
	if len(found) > 0 {
		x.taken(ctx, v, found[0], path)
	} else {
		x.nothing(v, tls, u, path)
	}
	if !tls {
		x.asHAProxy(ctx, v, haproxy.CanonicalHost(u.Host), path)
	}
	return x
}

func listenTexts(f haproxy.Frontend) []string {
	all := make([]string, len(f.Binds))
	for i, b := range f.Binds {
		all[i] = b.String()
	}
	return all
}

// whyNot says why a Route loses against another that fits too.
func whyNot(taken, r haproxy.Route) string {
	switch {
	case taken.Host != r.Host && r.Host == "":
		return "loses: a route with a host goes before one for any"
	case taken.Host != r.Host:
		return "loses: an exact host goes before a wildcard"
	case len(taken.Path) != len(r.Path):
		return "loses: a longer path goes before a shorter one"
	}
	return "loses: a path that minds case goes before one that does not"
}

func (x *ExplainedURL) taken(ctx context.Context, v *View, r haproxy.Route, path string) {
	port, _ := v.Result.Service(r.Backend)
	x.Service, x.Path = port.Service.String(), rewritten(r, path)
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
	if x.Verdict == "" {
		x.Verdict = fmt.Sprintf("goes to Service %s, backend %s", portText(port), r.Backend)
	}
}

// rewritten is the path that a pod sees.
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

// nothing says what may have been meant.
func (x *ExplainedURL) nothing(v *View, tls bool, u *url.URL, path string) {
	if x.Verdict == "" {
		x.Verdict = "no route matches: HAProxy answers 404"
	}
	host := haproxy.CanonicalHost(u.Host)
	const most = 8
	for _, r := range v.Result.State.Routes {
		sameHost := host != "" && r.Host == host
		samePath := r.Path != "" && strings.HasPrefix(path+"/", r.Path+"/")
		if len(x.Near) < most && (sameHost || samePath) {
			port, _ := v.Result.Service(r.Backend)
			x.Near = append(x.Near, fmt.Sprintf("%s leads to Service %s", RouteURL(r), portText(port)))
		}
	}
	for _, p := range v.Problems {
		if len(x.Near) < most && host != "" && strings.Contains(p.Text, host) {
			x.Near = append(x.Near, p.String())
		}
	}
}

// asHAProxy asks HAProxy which route it finds, and says where that is another
// one.
func (x *ExplainedURL) asHAProxy(ctx context.Context, v *View, host, path string) {
	found, err := v.Edge.Runtime.Route(ctx, cmp.Or(host, "*"), path)
	if err != nil {
		x.HAProxy = "could not be asked: " + err.Error()
		return
	}
	best, ok := bestFound(found)
	backend, _, _ := strings.Cut(best.Value, "|")
	want := ""
	if len(x.Matches) > 0 {
		want = x.Matches[0].Backend
	}
	switch {
	case !ok && want == "":
		x.HAProxy = "finds no route either"
	case !ok:
		x.HAProxy = "does not have this route yet"
	case backend == want:
		x.HAProxy = fmt.Sprintf("finds %s.map: %s %s", best.Map, best.Key, best.Value)
	default:
		x.HAProxy = fmt.Sprintf("leads it elsewhere still: %s.map: %s %s", best.Map, best.Key, best.Value)
	}
}

// bestFound chooses among what the lookups find as the frontend's rules do: the
// first of each map, then the higher rank, which the plain one wins where they
// are equal.
func bestFound(found []runtime.Found) (runtime.Found, bool) {
	var best runtime.Found
	rank := -1
	for _, name := range []string{haproxy.RoutesMap, haproxy.FoldedRoutesMap} {
		i := slices.IndexFunc(found, func(f runtime.Found) bool { return f.Map == name && f.Key != "" })
		if i < 0 {
			continue
		}
		fields := strings.Split(found[i].Value, "|")
		n := 0
		if len(fields) > 1 {
			n, _ = strconv.Atoi(fields[1])
		}
		if n > rank {
			best, rank = found[i], n
		}
	}
	return best, best.Key != ""
}

func (x *ExplainedURL) tcp(ctx context.Context, v *View, u *url.URL) {
	port, _ := strconv.ParseUint(u.Port(), 10, 16)
	for _, f := range v.Result.State.Frontends {
		if f.Backend == "" || !slices.ContainsFunc(f.Binds, func(b netip.AddrPort) bool { return b.Port() == uint16(port) }) {
			continue
		}
		x.Frontend, x.Binds = f.Name, listenTexts(f)
		x.taken(ctx, v, haproxy.Route{Backend: f.Backend}, "")
		return
	}
	x.Verdict = fmt.Sprintf("no TCP frontend listens on port %s", orNone(u.Port()))
	for _, p := range v.Problems {
		if u.Port() != "" && strings.Contains(p.Text, "port "+u.Port()+" ") {
			x.Near = append(x.Near, p.String())
		}
	}
}
