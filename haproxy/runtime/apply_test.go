// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

func TestApplyServers(t *testing.T) {
	a, b6 := ready("127.0.0.1:8001"), ready("[fd00::7]:8001")
	for _, row := range []struct {
		name    string
		have    []haproxy.Server
		op      haproxy.Op
		servers []haproxy.Server
		want    []haproxy.Server
	}{
		{"add a ready server", nil, haproxy.AddServer, []haproxy.Server{a}, []haproxy.Server{a}},
		{"add a server in drain", nil, haproxy.AddServer, withState(haproxy.Drain, a), withState(haproxy.Drain, a)},
		{"add a server in maint", nil, haproxy.AddServer, withState(haproxy.Maint, a), withState(haproxy.Maint, a)},
		{"add IPv6", nil, haproxy.AddServer, []haproxy.Server{a, b6}, []haproxy.Server{a, b6}},
		{"adding a server that exists sets its state", []haproxy.Server{a}, haproxy.AddServer, withState(haproxy.Drain, a), withState(haproxy.Drain, a)},
		{"set drain", []haproxy.Server{a}, haproxy.SetServer, withState(haproxy.Drain, a), withState(haproxy.Drain, a)},
		{"set maint", []haproxy.Server{a, b6}, haproxy.SetServer, withState(haproxy.Maint, b6), append([]haproxy.Server{a}, withState(haproxy.Maint, b6)...)},
		{"delete a server", []haproxy.Server{a, b6}, haproxy.DeleteServer, withState(haproxy.Maint, a), []haproxy.Server{b6}},
		{"deleting a server that does not exist does nothing", []haproxy.Server{a}, haproxy.DeleteServer, withState(haproxy.Maint, b6), []haproxy.Server{a}},
	} {
		for name, change := range backendKinds() {
			t.Run(row.name+", "+name, func(t *testing.T) {
				b, s := newShop(t, change, row.have...)
				plan := haproxy.Plan{Add: changes(row.op, s.Backends.At(0), row.servers...)}
				if a := b.apply(t, plan); len(a.Pending) > 0 {
					t.Errorf("Pending: %v", a.Pending)
				}
				compare(t, "Servers", row.want, b.servers(t, "shop"))
			})
		}
	}
}

func backendKinds() map[string]func(*haproxy.Backend) {
	return map[string]func(*haproxy.Backend){
		"plain": nil,
		"with cookie and checks": func(b *haproxy.Backend) {
			b.Policy.Cookie, b.Policy.CookieKey = "SERVERID", "secret"
			b.Options.Check, b.Options.CheckInterval = true, time.Second
		},
	}
}

func TestApplyRestoresTheAddressOfAServer(t *testing.T) {
	b := newBox(t)
	srv := ready("127.0.0.1:8001")
	s := b.shop(t, nil, srv)
	b.load(t, s)
	const command = "set server shop/127.0.0.1:8001 addr 127.0.0.9 port 8009"
	b.command(t, command)
	b.awaitAddr(t, command)
	b.apply(t, haproxy.Diff(b.observe(t, s), s))
	eventually(t, "the server is ready at its address", func() bool {
		return diff([]haproxy.Server{srv}, b.servers(t, "shop")) == ""
	})
}

func TestARejectionHoldsBackWhatDependsOnIt(t *testing.T) {
	b := newBox(t)
	a, other := ready("127.0.0.1:8001"), ready("127.0.0.1:8002")
	s := b.shop(t, nil, a, other)
	b.load(t, s)
	sticky := *s.Backends.At(0)
	sticky.Policy.Cookie, sticky.Policy.CookieKey = "SERVERID", "a b"
	add := haproxy.Plan{Add: changes(haproxy.AddServer, &sticky, ready("127.0.0.1:8003"))}
	const rejected = `add shop/127.0.0.1:8003 ready: cookie key "a b" contains ' ', which a command must not contain (this is a bug in podgate, please report it)`
	for _, row := range []struct {
		name  string
		plan  haproxy.Plan
		leave []haproxy.Server
		want  string
		left  []haproxy.Server
		done  int // changes of leave
	}{
		{"a server does not drain without a replacement", add, withState(haproxy.Drain, a), rejected, []haproxy.Server{a, other}, 0},
		{
			"no server is removed without its map",
			haproxy.Plan{Maps: []haproxy.Map{{Name: "nomap", Entries: []haproxy.MapEntry{{Key: "a", Value: "b"}}}}},
			withState(haproxy.Maint, a), "swap map nomap: Unknown map identifier. Please use #<id> or <file>.", []haproxy.Server{a, other}, 0,
		},
		{"a server that left the cluster is removed", add, withState(haproxy.Maint, a), rejected, append(withState(haproxy.Maint, a), other), 1},
		{
			"a server drains in a backend that keeps its route",
			haproxy.Plan{Maps: []haproxy.Map{{Name: "nomap", Entries: []haproxy.MapEntry{{Key: "a", Value: "shop|0"}}}}},
			withState(haproxy.Drain, other), "swap map nomap: Unknown map identifier. Please use #<id> or <file>.", append(withState(haproxy.Maint, a), withState(haproxy.Drain, other)...), 1,
		},
		{
			"a map of values holds back no server",
			haproxy.Plan{Maps: []haproxy.Map{{Name: haproxy.HSTSMap, Entries: []haproxy.MapEntry{{Key: "other", Value: "1"}}}}},
			withState(haproxy.Maint, other), "swap map hsts: Unknown map identifier. Please use #<id> or <file>.", withState(haproxy.Maint, a, other), 1,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.plan.Leave = changes(haproxy.SetServer, &sticky, row.leave...)
			applied, err := b.Apply(t.Context(), row.plan)
			must(t, err)
			compare(t, "Rejected", []string{row.want}, rejections(applied))
			compare(t, "Servers", row.left, b.servers(t, "shop"))
			done := applied.Done(row.plan)
			if len(done.Add) > 0 || len(done.Maps) > 0 || len(done.Leave) != row.done {
				t.Errorf("done without the rejected parts: %+v", done)
			}
		})
	}
}

// TestServersOfOneIDAreBothServed has two servers whose first ids are equal.
func TestServersOfOneIDAreBothServed(t *testing.T) {
	a, c := ready("127.45.160.181:4155"), ready("127.54.118.96:6275")
	if haproxy.ServerID(a.Addr, 0) != haproxy.ServerID(c.Addr, 0) {
		t.Fatal("the ids differ")
	}
	for name, change := range backendKinds() {
		t.Run("at run time, "+name, func(t *testing.T) {
			for _, order := range [][]haproxy.Server{{a, c}, {c, a}} {
				b, s := newShop(t, change, order[0])
				b.apply(t, haproxy.Plan{Add: changes(haproxy.AddServer, s.Backends.At(0), order[1])})
				compare(t, "Servers", []haproxy.Server{a, c}, b.servers(t, "shop"))
			}
		})
	}
	t.Run("in the file", func(t *testing.T) {
		b := newBox(t)
		b.load(t, b.shop(t, nil, a, c))
		compare(t, "Servers", []haproxy.Server{a, c}, b.servers(t, "shop"))
	})
}

// rejections returns the String of each Rejection.
func rejections(a runtime.Applied) (texts []string) {
	for _, r := range a.Rejected {
		texts = append(texts, r.String())
	}
	return texts
}

func TestApplyListsRejectionsAndContinues(t *testing.T) {
	b := newBox(t)
	a, c := ready("127.0.0.1:8001"), ready("127.0.0.1:8003")
	s := b.shop(t, nil, a)
	shop := s.Backends.At(0)
	other := new(*shop)
	other.Name = "other"
	s.Backends = haproxy.ListOf(other, shop)
	b.load(t, s)
	missing := &haproxy.Backend{Name: "missing", Options: shop.Options}
	injected := &haproxy.Backend{Name: "shop;shutdown frontend http", Options: shop.Options}
	sticky := *shop
	sticky.Policy.Cookie, sticky.Policy.CookieKey = "SERVERID", "a b"
	applied, err := b.Apply(t.Context(), haproxy.Plan{
		Add: append(append(append(
			changes(haproxy.AddServer, missing, a),
			changes(haproxy.AddServer, injected, a)...),
			changes(haproxy.AddServer, &sticky, c)...),
			changes(haproxy.AddServer, shop, c)...),
		Maps: []haproxy.Map{
			{Name: haproxy.RoutesMap, Entries: []haproxy.MapEntry{
				{Key: "a b/", Value: "shop"}, {Key: "new\nline/", Value: "shop"}, {Key: "#/", Value: "shop"},
				{Key: "long/", Value: strings.Repeat("x", 20_000)}, {Key: "", Value: "shop"}, {Key: "\xff\xfe", Value: "a b"},
				{Key: "*/", Value: "shop|0"},
			}},
		},
		Leave: append(
			changes(haproxy.SetServer, other, withState(haproxy.Drain, ready("127.0.0.1:8009"))...),
			changes(haproxy.SetServer, other, withState(haproxy.Drain, a)...)...),
	})
	must(t, err)
	want := []string{
		`add shop;shutdown frontend http/127.0.0.1:8001 ready: backend "shop;shutdown frontend http" contains ';', which a command must not contain (this is a bug in podgate, please report it)`,
		`add shop/127.0.0.1:8003 ready: cookie key "a b" contains ' ', which a command must not contain (this is a bug in podgate, please report it)`,
		`add missing/127.0.0.1:8001 ready: No such backend.`,
		`swap map routes: entry "a b/" "shop" is not a line of a map`,
		`swap map routes: entry "new\nline/" "shop" is not a line of a map`,
		`swap map routes: entry "#/" "shop" is not a line of a map`,
		`swap map routes: entry "long/"... of 20007 bytes is longer than HAProxy reads`,
		`swap map routes: entry "" "shop" has no key or no value`,
		`swap map routes: entry "\xff\xfe" "a b" is not a line of a map`,
		`set other/127.0.0.1:8009 drain: No such server.`,
	}
	compare(t, "Rejected", want, rejections(applied))
	compare(t, "Servers", []haproxy.Server{a, c}, b.servers(t, "shop"))
	compare(t, "Servers of other", withState(haproxy.Drain, a), b.servers(t, "other"))
	compare(t, "Maps", []haproxy.MapEntry{{Key: "*/", Value: "shop|0"}}, b.observe(t, s).Maps[routesMap()].Entries)
}

func TestApplyManyServersInFewLines(t *testing.T) {
	b, s := newShop(t, backendKinds()["with cookie and checks"])
	servers := withState(haproxy.Ready, manyServers(2000)...)
	began := time.Now()
	applied := b.apply(t, haproxy.Plan{Add: changes(haproxy.AddServer, s.Backends.At(0), servers...)})
	t.Logf("added %d servers with %d commands in %v", len(servers), applied.Commands, time.Since(began))
	compare(t, "Servers", servers, b.servers(t, "shop"))
	gone := withState(haproxy.Maint, servers...)
	began = time.Now()
	applied = b.apply(t, haproxy.Plan{Leave: changes(haproxy.DeleteServer, s.Backends.At(0), gone...)})
	t.Logf("deleted them in %v, %d pending", time.Since(began), len(applied.Pending))
	eventually(t, "the last server is deleted", func() bool {
		return len(b.apply(t, haproxy.Plan{Leave: applied.Pending}).Pending) == 0
	})
	compare(t, "Servers", []haproxy.Server(nil), b.servers(t, "shop"))
}

func TestServerIsDeletedAfterItsLastConnection(t *testing.T) {
	for name, change := range backendKinds() {
		t.Run(name, func(t *testing.T) {
			pod, slow := newPod(t)
			b, s := newShop(t, change, pod)
			frontend := s.Frontends[0].Binds[0]
			got := make(chan error, 1)
			go func() {
				r, err := get(t.Context(), frontend, "", "/slow")
				if err == nil && (r.Status != 200 || r.Body != pod.Addr.String()) {
					err = fmt.Errorf("%d %q", r.Status, r.Body)
				}
				got <- err
			}()
			<-slow

			gone := withState(haproxy.Maint, pod)
			leave := changes(haproxy.DeleteServer, s.Backends.At(0), gone...)
			applied := b.apply(t, haproxy.Plan{Leave: append(changes(haproxy.SetServer, s.Backends.At(0), gone...), leave...)})
			compare(t, "Pending", fmt.Sprint(leave), fmt.Sprint(applied.Pending))
			compare(t, "Servers while the request runs", gone, b.servers(t, "shop"))
			slow <- struct{}{}
			if err := <-got; err != nil {
				t.Errorf("the running request: %v", err)
			}
			eventually(t, "the server is deleted", func() bool {
				return len(b.apply(t, haproxy.Plan{Leave: leave}).Pending) == 0
			})
			compare(t, "Servers", []haproxy.Server(nil), b.servers(t, "shop"))
		})
	}
}

func TestAddedServerHasTheCookieOfADeclaredOne(t *testing.T) {
	pod, _ := newPod(t)
	sticky := func(b *haproxy.Backend) { b.Policy.Cookie, b.Policy.CookieKey = "SERVERID", "secret" }
	cookie := func(t *testing.T, s haproxy.State) string {
		t.Helper()
		r := mustGet(t, s.Frontends[0].Binds[0], "/")
		if len(r.Cookies) != 1 || r.Cookies[0].Name != "SERVERID" || r.Cookies[0].Value == "" {
			t.Fatalf("cookies of %d %q: %v, want a SERVERID", r.Status, r.Body, r.Cookies)
		}
		return r.Cookies[0].Value
	}
	b := newBox(t)
	declared := b.shop(t, sticky, pod)
	b.load(t, declared)
	want := cookie(t, declared)

	added := b.shop(t, sticky)
	b.load(t, added)
	b.apply(t, haproxy.Plan{Add: changes(haproxy.AddServer, added.Backends.At(0), pod)})
	if got := cookie(t, added); got != want {
		t.Errorf("cookie of the added server %q, of the declared one %q", got, want)
	}
}
