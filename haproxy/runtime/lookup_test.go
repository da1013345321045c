// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// webs returns a State with one HTTP frontend, the routes and their backends.
func (b box) webs(t *testing.T, routes ...haproxy.Route) haproxy.State {
	t.Helper()
	s := haproxy.State{Frontends: []haproxy.Frontend{{Name: "podgate_http", Mode: haproxy.HTTP, Binds: []netip.AddrPort{b.freeAddr(t)}}}, Routes: routes}
	slices.SortFunc(s.Routes, haproxy.Route.Compare)
	var backends []*haproxy.Backend
	for _, r := range s.Routes {
		backends = append(backends, &haproxy.Backend{Name: r.Backend, Policy: haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin}, Options: haproxy.Options{Protocol: haproxy.Plain}})
	}
	slices.SortFunc(backends, func(a, b *haproxy.Backend) int { return strings.Compare(a.Name, b.Name) })
	s.Backends = haproxy.ListOf(slices.CompactFunc(backends, func(a, b *haproxy.Backend) bool { return a.Name == b.Name })...)
	return s
}

func TestLookup(t *testing.T) {
	b := newBox(t)
	b.load(t, b.webs(t,
		haproxy.Route{Path: "/Old", Backend: "b"},
		haproxy.Route{Host: "*.example.com", Path: "/cart", Rewrite: "/", Backend: "b"},
		haproxy.Route{Host: "shop.example.com", Backend: "b"},
	))
	for _, row := range []struct{ host, path, want string }{
		{"shop.example.com", "/cart/x", "routes shop.example.com/ b|20000, routes *.example.com/cart/ b|10005|/cart"},
		{"other.example.com", "/cart", "routes *.example.com/cart/ b|10005|/cart"},
		{"any", "/Old/x", "routes */Old/ b|4"},
		{"any", "/older", ""},
		{"shop.example.com", "", "routes shop.example.com/ b|20000"},
		{"other.example.com", "", ""},
	} {
		found, err := b.Lookup(t.Context(), haproxy.Request{Host: row.host, Path: row.path})
		must(t, err)
		var got []string
		for _, l := range found {
			if l.Found.Key != "" {
				got = append(got, l.Map+" "+l.Found.Key+" "+l.Found.Value)
			}
		}
		if diff := cmp.Diff(row.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s%s (-want +got):\n%s", row.host, row.path, diff)
		}
	}
}

// TestMatchAndChooseAgreeWithHAProxy sends random requests to a HAProxy with random
// routes. State.Match, haproxy.Choose for HAProxy's lookups, and the pod that answers
// must agree.
func TestMatchAndChooseAgreeWithHAProxy(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	b := newBox(t)
	pods := map[string]haproxy.Server{}
	for _, name := range []string{"b0", "b1", "b2", "b3"} {
		pods[name], _ = newEcho(t, name)
	}
	for round := range 9 {
		known := map[haproxy.Route]bool{}
		var routes []haproxy.Route
		for range 12 {
			route := haproxy.Route{
				Host:     haproxy.HostPattern(one("", "", "*.example.com", "a.example.com", "b.example.com", "localhost")),
				Path:     haproxy.PathPrefix(one("", "/a", "/a/b", "/A", "/abc", "/a/b/c")),
				FoldCase: r.IntN(3) == 0,
			}
			route.FoldCase = route.FoldCase && route.Path != ""
			if route.FoldCase {
				route.Path = haproxy.PathPrefix(strings.ToLower(string(route.Path)))
			}
			if !known[route] {
				known[route] = true
				route.Backend = one("b0", "b1", "b2", "b3")
				if route.Host == "" && round >= 3 {
					route.Namespace = "even"
					if route.Backend == "b1" || route.Backend == "b3" {
						route.Namespace = "odd"
					}
				}
				routes = append(routes, route)
			}
		}
		s := b.webs(t, routes...)
		for _, backend := range s.Backends.All() {
			backend.Servers = []haproxy.Server{pods[backend.Name]}
		}
		s.Settings = settings()
		if s.Settings.HoldHosts = round >= 3; s.Settings.HoldHosts {
			for _, host := range []haproxy.HostPattern{"*.example.com", "a.example.com", "b.example.com", "localhost"} {
				if r.IntN(3) > 0 {
					s.HeldHosts = append(s.HeldHosts, haproxy.HeldHost{Host: host, Namespace: one("even", "odd"), EveryPath: round >= 7})
				}
			}
		}
		b.load(t, s)
		for range 60 {
			request := haproxy.Request{
				Host: one("a.example.com", "A.Example.com:80", "b.example.com.", "c.example.com", "localhost", "x.y.example.com", "[::1]:80"),
				Path: one("/", "/a", "/A", "/a/", "/a/b", "/A/B/x", "/a/bc", "/abc/d", "/a/b/c", "/x", "/x/../a", "/A/./b/%2e%2E/b"),
			}
			want := "404"
			if found := s.Match(request); len(found) > 0 {
				want = found[0].Backend
			}
			lookups, err := b.Lookup(t.Context(), request)
			must(t, err)
			chosen := "404"
			if _, route, ok := haproxy.Choose(lookups); ok {
				chosen = route.Backend
			}
			r, err := get(t.Context(), s.Frontends[0].Binds[0], request.Host, request.Path)
			must(t, err)
			name, _, _ := strings.Cut(r.Body, " ")
			if want != chosen || want != name {
				t.Errorf("%+v: Match returns %s, Choose %s, HAProxy uses %s, of\n%s", request, want, chosen, name, s)
			}
		}
	}
}
