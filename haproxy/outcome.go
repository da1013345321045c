// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Outcome is what HAProxy does with a request.
type Outcome struct {
	Route   Route
	Backend string // "" if HAProxy answers itself
	Target  int    // index into Actions.Targets of the one that was chosen; -1 for none
	Code    int    // of HAProxy's own answer; zero if Backend answers

	// Location is where the client is redirected to; "" if it is not.
	Location string
	Host     string // of the request to the server
	Path     string // of the request to the server; "*" for "OPTIONS *"
	Request  []HeaderEffect
	Response []HeaderEffect // of the response to the client
	// CORS are the headers that the answer to the client has in addition.
	CORS    []Header
	Timeout time.Duration // as Actions.Timeout
}

// Outcome returns what HAProxy does with a request. random decides between Targets; it
// must not be negative. Outcome returns false if no Route matches. A header
// X-Forwarded-Proto is ignored, as that of a client.
func (s State) Outcome(r Request, random int) (Outcome, bool) {
	routes := s.Match(r)
	if len(routes) == 0 {
		return Outcome{}, false
	}
	route := routes[0]
	o := Outcome{Route: route, Target: -1, Host: r.Host, Path: cmp.Or(NormalizePath(r.Path), "*")}
	switch {
	case route.Passthrough:
		o.Backend = route.Backend
		return o, true
	case route.Redirect != "":
		port := ""
		if p := s.Settings.RedirectPort; p != 0 && p != httpsPort {
			port = ":" + strconv.Itoa(int(p))
		}
		o.redirect(r, 308, "https", string(CanonicalHost(r.Host)), port)
		return o, true
	case route.Actions == nil:
		o.Path, o.Backend = route.rewritten(route.Rewrite, o.Path), route.Backend
		return o, true
	}
	o.act(r, *route.Actions, random)
	return o, true
}

const (
	httpPort  = 80
	httpsPort = 443
)

// act does the actions of the Route.
func (o *Outcome) act(r Request, a Actions, random int) {
	o.Response = a.Response.Effects(HeaderChanges{})
	if a.CORS != nil {
		if o.CORS = a.CORS.headers(r); r.isPreflight() {
			o.Code = 204
			return
		}
	}
	rewrite, full := o.Route.Rewrite, a.FullPath
	if l := a.Location; l != nil {
		rewrite, full = l.Rewrite, l.FullPath
	}
	o.Path = cmp.Or(full, o.Route.rewritten(rewrite, o.Path))
	switch {
	case a.Location != nil:
		scheme, host, port := o.Route.target(r, *a.Location)
		code := a.Location.Code
		if !slices.Contains(RedirectCodes(), code) {
			code = 302
		}
		o.redirect(r, code, scheme, host, port)
		return
	case a.Answer != 0:
		o.Code = answerCode(a.Answer)
		return
	}
	o.Host, o.Timeout = cmp.Or(a.Host, r.Host), a.Timeout
	var target Target
	o.Backend = o.Route.Backend
	if a.Targets != nil {
		o.Target, o.Backend = chooseTarget(a.Targets, random), ""
		if o.Target >= 0 {
			target = a.Targets[o.Target]
			o.Backend = target.Backend
		}
	}
	if o.Backend == "" {
		o.Code = 500
		return
	}
	o.Request, o.Response = a.Request.Effects(target.Request), a.Response.Effects(target.Response)
}

// redirect redirects the client to the path of o, with the query of the request.
func (o *Outcome) redirect(r Request, code int, scheme, host, port string) {
	if host == "" {
		o.Code = 400
		return
	}
	o.Code, o.Location = code, scheme+"://"+host+port+o.Path
	if r.Query != "" {
		o.Location += "?" + r.Query
	}
}

// target returns the parts of the URL to which a Location redirects. The port is "" or
// begins with a colon.
func (r Route) target(request Request, l Location) (scheme, host, port string) {
	scheme, host = "http", cmp.Or(l.Host, string(CanonicalHost(request.Host)))
	if r.TLS {
		scheme = "https"
	}
	scheme = cmp.Or(l.Scheme, scheme)
	usual, n := uint16(httpPort), l.Port
	if scheme == "https" {
		usual = httpsPort
	}
	if n == 0 && l.Scheme == "" {
		if n = r.Listener.Port(); n == 0 {
			return scheme, host, portOf(request.Host)
		}
	}
	if n != 0 && n != usual {
		port = fmt.Sprintf(":%d", n)
	}
	return scheme, host, port
}

// portOf returns the port of a Host header with its colon, "" if it has none.
func portOf(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.Trim(host[i+1:], "0123456789") != "" {
		return ""
	}
	return host[i:]
}

// rewritten returns the path that a Rewrite makes of a path.
func (r Route) rewritten(rewrite Rewrite, path string) string {
	if rewrite == "" || len(path) < len(r.Path) || r.Path == "" && rewrite == "/" {
		return path
	}
	rest := path[len(r.Path):]
	if rewrite == "/" {
		return "/" + strings.TrimLeft(rest, "/")
	}
	return string(rewrite) + rest
}

// chooseTarget returns the index of the target for a random number; -1 if no request gets
// to any target.
func chooseTarget(targets []Target, random int) int {
	total := 0
	for _, t := range targets {
		total += t.Weight
	}
	if total == 0 {
		return -1
	}
	left := random % total
	for i, t := range targets {
		if left -= t.Weight; left < 0 {
			return i
		}
	}
	return -1
}

// HeaderEffect is what happens to one header.
type HeaderEffect struct {
	Name    string
	Removes bool     // what the header had before
	Adds    []string // values, each in a line of its own
}

// Effects returns what the changes and then other ones do together, by name.
func (h HeaderChanges) Effects(then HeaderChanges) []HeaderEffect {
	var all []HeaderEffect
	of := func(name string) *HeaderEffect {
		i, ok := slices.BinarySearchFunc(all, name, func(e HeaderEffect, name string) int { return strings.Compare(e.Name, name) })
		if !ok {
			all = slices.Insert(all, i, HeaderEffect{Name: name})
		}
		return &all[i]
	}
	for _, c := range []HeaderChanges{h, then} {
		for _, s := range c.Set {
			*of(s.Name) = HeaderEffect{s.Name, true, []string{s.Value}}
		}
		for _, a := range c.Add {
			e := of(a.Name)
			e.Adds = append(e.Adds, a.Value)
		}
		for _, name := range c.Remove {
			*of(name) = HeaderEffect{Name: name, Removes: true}
		}
	}
	return all
}
