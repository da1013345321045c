// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stateOf reads "a=1,2d b=" as backends with servers by number, d for drain;
// each backend has the route /NAME, and tcp ones a frontend.
func stateOf(text string) State {
	var s State
	var backends []*Backend
	for _, word := range strings.Fields(text) {
		name, servers, _ := strings.Cut(word, "=")
		b := Backend{Name: name, Policy: Policy{Mode: HTTP}}
		if strings.HasPrefix(name, "tcp") {
			b.Policy.Mode = TCP
			bind := netip.MustParseAddrPort("127.0.0.1:7000")
			s.Frontends = append(s.Frontends, Frontend{Name: "front_" + name, Mode: TCP, Binds: []netip.AddrPort{bind}, Backend: name})
		} else {
			s.Routes = append(s.Routes, Route{Path: PathPrefix("/" + name[:1]), Backend: name})
		}
		for n := range strings.SplitSeq(servers, ",") {
			if n == "" {
				continue
			}
			number, drains := strings.CutSuffix(n, "d")
			srv := Server{Addr: netip.MustParseAddrPort("10.0.0." + number + ":80"), State: Ready}
			if drains {
				srv.State = Drain
			}
			b.Servers = append(b.Servers, srv)
		}
		backends = append(backends, &b)
	}
	s.Backends = ListOf(backends...)
	return s
}

func (s State) brief() string {
	var words []string
	for _, b := range s.Backends.All() {
		var servers []string
		for _, srv := range b.Servers {
			n := fmt.Sprint(srv.Addr.Addr().As4()[3])
			if srv.State == Drain {
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

func TestWhatIsMissingIsKept(t *testing.T) {
	for _, row := range []struct{ name, from, to, loss, with string }{
		{"nothing changed", "a=1,2", "a=1,2", "0 of 2 servers and 0 of 1 backends", "a=1,2 /a>a"},
		{"what is new is no loss", "a=1", "a=1,2 b=3", "0 of 1 servers and 0 of 1 backends", "a=1,2 b=3 /a>a /b>b"},
		{"a server less", "a=1,2,3", "a=1,3", "1 of 3 servers and 0 of 1 backends", "a=1,2,3 /a>a"},
		{"a server that others stand in for", "a=1,2", "a=3,4", "0 of 2 servers and 0 of 1 backends", "a=3,4 /a>a"},
		{"fewer stand in, and none of the old leaves", "a=1,2,3", "a=4", "2 of 3 servers and 0 of 1 backends", "a=1,2,3,4 /a>a"},
		{"a drained one was announced", "a=1,2d,3d", "a=1", "0 of 3 servers and 0 of 1 backends", "a=1 /a>a"},
		{"one that begins to drain is there", "a=1,2", "a=1,2d", "0 of 2 servers and 0 of 1 backends", "a=1,2d /a>a"},
		{"a backend without servers", "a=1,2 b=3", "a= b=3", "2 of 3 servers and 1 of 2 backends", "a=1,2 b=3 /a>a /b>b"},
		{"a backend that is gone keeps its routes", "a=1,2d b=3", "b=3", "1 of 3 servers and 1 of 2 backends", "a=1,2d b=3 /a>a /b>b"},
		{"its route that another has now is the other's", "a1=1 b=3", "a2=4 b=3", "1 of 2 servers and 1 of 2 backends", "a1=1 a2=4 b=3 /a>a2 /b>b"},
		{"but not while the other has no server", "a1=1 b=3", "a2= b=3", "1 of 2 servers and 1 of 2 backends", "a1=1 a2= b=3 /a>a1 /b>b"},
		{"a backend of another name", "a=1,2", "b=1,2", "0 of 2 servers and 0 of 1 backends", "b=1,2 /b>b"},
		{"a TCP frontend stays", "tcp=1", "", "1 of 1 servers and 1 of 1 backends", "tcp=1 front_tcp>tcp"},
		{"a TCP frontend whose address another has does not", "tcp1=1", "tcp2=2", "1 of 1 servers and 1 of 1 backends", "tcp1=1 tcp2=2 front_tcp2>tcp2"},
		{"what had no server is no loss", "a= b=1", "b=1", "0 of 1 servers and 0 of 1 backends", "b=1 /b>b"},
		{"everything", "a=1 b=2 c=3", "", "3 of 3 servers and 3 of 3 backends", "a=1 b=2 c=3 /a>a /b>b /c>c"},
	} {
		t.Run(row.name, func(t *testing.T) {
			from, to := stateOf(row.from), stateOf(row.to)
			missing, loss := Missing(from, to)
			if most := LossAtMost(from, to); most.Servers < loss.Servers || most.Backends < loss.Backends || most.Servers > 0 && (most.OfServers != loss.OfServers || most.OfBackends != loss.OfBackends) {
				t.Errorf("at most: got %q, less than %q", most, loss)
			}
			if loss.String() != row.loss {
				t.Errorf("loss: got %q, want %q", loss, row.loss)
			}
			if got := stateOf(row.to).With(missing).brief(); got != row.with {
				t.Errorf("with what is missing: got %q, want %q", got, row.with)
			}
		})
	}
}

func TestWhereNothingLacksNothingIsCounted(t *testing.T) {
	for _, row := range []struct{ name, from, to string }{
		{"nothing changed", "a=1,2", "a=1,2"},
		{"a server more", "a=1 b=2", "a=1,3 b=2"},
		{"a server that another stands in for", "a=1,2", "a=1,3"},
		{"one that begins to drain", "a=1,2", "a=1,2d"},
		{"one that drained is gone", "a=1,2d", "a=1"},
		{"what had no server", "a= b=1", "a= b=1"},
	} {
		if most := LossAtMost(stateOf(row.from), stateOf(row.to)); most != (Loss{}) {
			t.Errorf("%s: got %q", row.name, most)
		}
	}
}

// BenchmarkOneBackendIsEmptied is among 5,000 of 20 servers.
func BenchmarkOneBackendIsEmptied(b *testing.B) {
	var from State
	var backends []*Backend
	for i := range 5000 {
		backend := &Backend{Name: fmt.Sprintf("shop_svc%04d_80", i), Policy: Policy{Mode: HTTP}}
		for j := range 20 {
			addr := netip.AddrFrom4([4]byte{10, byte(j), byte(i >> 8), byte(i)})
			backend.Servers = append(backend.Servers, Server{Addr: netip.AddrPortFrom(addr, 80), State: Ready})
		}
		backends = append(backends, backend)
	}
	from.Backends = ListOf(backends...)
	empty := *backends[7]
	empty.Servers = nil
	to := from
	to.Backends = from.Backends.With(map[int]*Backend{7: &empty})
	b.ReportAllocs()
	for b.Loop() {
		if loss := LossAtMost(from, to); loss.Servers != 20 {
			b.Fatal(loss)
		}
	}
}

func TestRoutesComeBackFromTheirMaps(t *testing.T) {
	s := State{Routes: []Route{
		{Backend: "all"},
		{Path: "/a", Backend: "a"},
		{Path: "/a", FoldCase: true, Rewrite: "/", Backend: "folded"},
		{Path: "/a/b", Rewrite: "/new/x", Backend: "a"},
		{Host: "*.example.com", Backend: "wild"},
		{Host: "a.example.com", Path: "/x:80", Rewrite: "/", Backend: "b.c:d-e"},
	}}
	slices.SortFunc(s.Routes, Route.Compare)
	maps := s.Maps()
	if diff := cmp.Diff(s.Routes, RoutesOf(maps)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	maps[0].Entries = append(maps[0].Entries, MapEntry{"foreign", "x"}, MapEntry{"a/", "x"})
	if got := RoutesOf(maps); len(got) != len(s.Routes) {
		t.Errorf("entries of others became routes: %v", got)
	}
}
