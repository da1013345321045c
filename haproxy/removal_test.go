// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// stateOf parses "a=1,2d b=" as backends with servers by number, "d" for drain. Each
// backend has a route from the first letter of its name, or a TCP frontend.
func stateOf(text string) haproxy.State {
	lines := strings.Fields(text)
	for i, line := range lines {
		name, servers, _ := strings.Cut(line, "=")
		if strings.HasPrefix(name, "tcp") {
			name += " tcp"
		}
		lines[i] = name + " " + strings.NewReplacer(",", " ", "d", "!").Replace(servers)
	}
	s := state(lines...)
	s.Frontends = s.Frontends[1:]
	for i := range s.Frontends {
		s.Frontends[i].Name = "front_" + s.Frontends[i].Backend
	}
	for i := range s.Routes {
		s.Routes[i].Path = s.Routes[i].Path[:2]
	}
	return s
}

// brief is the inverse of stateOf, with the routes and frontends.
func brief(s haproxy.State) string {
	var words []string
	for _, b := range s.Backends.All() {
		var servers []string
		for _, srv := range b.Servers {
			n := fmt.Sprint(srv.Addr.Addr().As4()[3])
			if srv.State == haproxy.Drain {
				n += "d"
			}
			servers = append(servers, n)
		}
		words = append(words, b.Name+"="+strings.Join(servers, ","))
	}
	for _, r := range s.Routes {
		words = append(words, string(r.Path)+">"+r.Backend)
	}
	for _, f := range s.Frontends {
		words = append(words, f.Name+">"+f.Backend)
	}
	return strings.Join(words, " ")
}

func TestMissingReturnsWhatWithRestores(t *testing.T) {
	for _, row := range []struct{ name, from, to, loss, with string }{
		{"nothing changed", "a=1,2", "a=1,2", "0 of 2 servers and 0 of 1 backends", "a=1,2 /a>a"},
		{"an addition is not a removal", "a=1", "a=1,2 b=3", "0 of 1 servers and 0 of 1 backends", "a=1,2 b=3 /a>a /b>b"},
		{"a server is removed", "a=1,2,3", "a=1,3", "1 of 3 servers and 0 of 1 backends", "a=1,2,3 /a>a"},
		{"replaced servers are not a removal", "a=1,2", "a=3,4", "0 of 2 servers and 0 of 1 backends", "a=3,4 /a>a"},
		{"fewer servers replace more, so all old ones stay", "a=1,2,3", "a=4", "2 of 3 servers and 0 of 1 backends", "a=1,2,3,4 /a>a"},
		{"removed servers in drain are not a removal", "a=1,2d,3d", "a=1", "0 of 3 servers and 0 of 1 backends", "a=1 /a>a"},
		{"a server that begins to drain is not removed", "a=1,2", "a=1,2d", "0 of 2 servers and 0 of 1 backends", "a=1,2d /a>a"},
		{"a backend loses all servers", "a=1,2 b=3", "a= b=3", "2 of 3 servers and 1 of 2 backends", "a=1,2 b=3 /a>a /b>b"},
		{"a removed backend keeps its routes", "a=1,2d b=3", "b=3", "1 of 3 servers and 1 of 2 backends", "a=1,2d b=3 /a>a /b>b"},
		{"a removed backend loses a route that now leads to another one", "a1=1 b=3", "a2=4 b=3", "1 of 2 servers and 1 of 2 backends", "a1=1 a2=4 b=3 /a>a2 /b>b"},
		{"a removed backend keeps a route whose new backend has no server", "a1=1 b=3", "a2= b=3", "1 of 2 servers and 1 of 2 backends", "a1=1 a2= b=3 /a>a1 /b>b"},
		{"a renamed backend is not a removal", "a=1,2", "b=1,2", "0 of 2 servers and 0 of 1 backends", "b=1,2 /b>b"},
		{"a removed TCP backend keeps its frontend", "tcp=1", "", "1 of 1 servers and 1 of 1 backends", "tcp=1 front_tcp>tcp"},
		{"a removed TCP backend loses a frontend whose address another one has now", "tcp1=1", "tcp2=2", "1 of 1 servers and 1 of 1 backends", "tcp1=1 tcp2=2 front_tcp2>tcp2"},
		{"a removed backend without servers is not counted", "a= b=1", "b=1", "0 of 1 servers and 0 of 1 backends", "b=1 /b>b"},
		{"everything is removed", "a=1 b=2 c=3", "", "3 of 3 servers and 3 of 3 backends", "a=1 b=2 c=3 /a>a /b>b /c>c"},
	} {
		t.Run(row.name, func(t *testing.T) {
			from, to := stateOf(row.from), stateOf(row.to)
			missing, loss := haproxy.Missing(from, to)
			if most := haproxy.LossAtMost(from, to); most.Servers < loss.Servers || most.Backends < loss.Backends || most.Servers > 0 && (most.OfServers != loss.OfServers || most.OfBackends != loss.OfBackends) {
				t.Errorf("LossAtMost: got %q, less than %q", most, loss)
			}
			if loss.String() != row.loss {
				t.Errorf("loss: got %q, want %q", loss, row.loss)
			}
			if got := brief(stateOf(row.to).With(missing)); got != row.with {
				t.Errorf("With: got %q, want %q", got, row.with)
			}
		})
	}
}

func TestLossAtMostIsZeroIfNoBackendHasFewerServers(t *testing.T) {
	for _, row := range []struct{ name, from, to string }{
		{"nothing changed", "a=1,2", "a=1,2"},
		{"a server is added", "a=1 b=2", "a=1,3 b=2"},
		{"a server is replaced", "a=1,2", "a=1,3"},
		{"a server begins to drain", "a=1,2", "a=1,2d"},
		{"a server in drain is removed", "a=1,2d", "a=1"},
		{"a backend has no servers", "a= b=1", "a= b=1"},
	} {
		if most := haproxy.LossAtMost(stateOf(row.from), stateOf(row.to)); most != (haproxy.Loss{}) {
			t.Errorf("%s: got %q", row.name, most)
		}
	}
}

// BenchmarkOneBackendIsEmptied removes the servers of one backend of 5,000.
func BenchmarkOneBackendIsEmptied(b *testing.B) {
	from, to := largeState(20)
	b.ReportAllocs()
	for b.Loop() {
		if loss := haproxy.LossAtMost(from, to); loss.Servers != 20 {
			b.Fatal(loss)
		}
	}
}

func TestParseRoutesIsTheInverseOfMaps(t *testing.T) {
	s := haproxy.State{Routes: []haproxy.Route{
		{Backend: "all"},
		{Path: "/a", Backend: "a"},
		{Path: "/a", FoldCase: true, Rewrite: "/", Backend: "folded"},
		{Path: "/a/b", Rewrite: "/new/x", Backend: "a"},
		{Host: "*.example.com", Backend: "wild"},
		{Host: "a.example.com", Path: "/x:80", Rewrite: "/", Backend: "b.c:d-e"},
	}}
	slices.SortFunc(s.Routes, haproxy.Route.Compare)
	maps := s.Maps()
	if diff := cmp.Diff(s.Routes, haproxy.ParseRoutes(maps)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	routes := &maps[slices.Index(haproxy.MapNames(), haproxy.RoutesMap)]
	routes.Entries = append(routes.Entries, haproxy.MapEntry{Key: "foreign", Value: "x"}, haproxy.MapEntry{Key: "a/", Value: "x"})
	if got := haproxy.ParseRoutes(maps); len(got) != len(s.Routes) {
		t.Errorf("foreign entries became routes: %v", got)
	}
}
