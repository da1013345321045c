// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// state returns a State with one HTTP frontend and a backend for each line "name
// addr..." or "name tcp addr...", with a route "/name" to each HTTP backend. A
// server with "!" after its address is in drain, one with "?" in maint.
func state(lines ...string) haproxy.State {
	s := haproxy.State{Frontends: []haproxy.Frontend{{Name: "podgate_http", Mode: haproxy.HTTP, Binds: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:80")}}}}
	var backends []*haproxy.Backend
	for _, line := range lines {
		words := strings.Fields(line)
		b := &haproxy.Backend{Name: words[0], Policy: haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin}, Options: haproxy.Options{Protocol: haproxy.Plain}}
		words = words[1:]
		if len(words) > 0 && words[0] == "tcp" {
			b.Policy.Mode = haproxy.TCP
			words = words[1:]
			s.Frontends = append(s.Frontends, haproxy.Frontend{Name: "podgate_tcp", Mode: haproxy.TCP, Binds: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:5432")}, Backend: b.Name})
		} else {
			s.Routes = append(s.Routes, haproxy.Route{Path: haproxy.PathPrefix("/" + b.Name), Backend: b.Name})
		}
		b.Servers = servers(words...)
		backends = append(backends, b)
	}
	s.Backends = haproxy.ListOf(backends...)
	return s
}

func servers(words ...string) (list []haproxy.Server) {
	for _, w := range words {
		srv := haproxy.Server{State: haproxy.Ready}
		for suffix, state := range map[string]haproxy.ServerState{"!": haproxy.Drain, "?": haproxy.Maint} {
			if rest, ok := strings.CutSuffix(w, suffix); ok {
				w, srv.State = rest, state
			}
		}
		srv.Addr = netip.MustParseAddrPort("10.0.0." + w + ":80")
		list = append(list, srv)
	}
	return list
}

// running returns what HAProxy serves after it loaded s. observed, lines of "backend
// addr...", replaces the servers of s.
func running(s haproxy.State, observed ...string) haproxy.Running {
	have := haproxy.Running{Loaded: s, Servers: map[string][]haproxy.Server{}, Maps: s.Maps()}
	for _, b := range s.Backends.All() {
		have.Servers[b.Name] = b.Servers
	}
	for _, line := range observed {
		words := strings.Fields(line)
		have.Servers[words[0]] = servers(words[1:]...)
	}
	return have
}

// steps describes a Plan, one line per step, in their order.
func steps(p haproxy.Plan) (lines []string) {
	for _, r := range p.Reload {
		lines = append(lines, "reload: "+r.String())
	}
	for _, b := range p.Vacated {
		lines = append(lines, "vacated "+b.Name)
	}
	for _, b := range p.NewBackends {
		line := "new backend " + b.Name
		if b.Spare != "" {
			line += " in " + b.Spare
		}
		lines = append(lines, line)
	}
	for _, c := range p.Add {
		lines = append(lines, c.String())
	}
	for _, name := range p.Publish {
		lines = append(lines, "publish "+name)
	}
	for _, m := range p.Maps {
		line := "map " + m.Name
		for _, e := range m.Entries {
			line += fmt.Sprintf(" %s=%s", e.Key, e.Value)
		}
		lines = append(lines, line)
	}
	for _, c := range p.Leave {
		lines = append(lines, c.String())
	}
	for _, name := range p.RemoveUnmanaged {
		lines = append(lines, "remove unmanaged server "+name)
	}
	for _, b := range p.OldBackends {
		lines = append(lines, "old backend "+b.Name)
	}
	return lines
}

// planRow is a row of a test that compares Diff(have, want) with plan.
type planRow struct {
	name string
	have haproxy.Running
	want haproxy.State
	plan []string
}

func (row planRow) run(t *testing.T) {
	if diff := cmp.Diff(row.plan, steps(haproxy.Diff(row.have, row.want))); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestDiff(t *testing.T) {
	leastconn := state("a 1")
	leastconn.Backends.At(0).Policy.Balance = haproxy.LeastConn
	limited := state("a 1")
	limited.Backends.At(0).Options.MaxConn = 9
	slow := state("a 1")
	slow.Backends.At(0).TimeoutServer = time.Minute
	rerouted := state("a 1", "b 2")
	rerouted.Routes = []haproxy.Route{{Path: "/a", Backend: "b"}}
	moved := state("b 2")
	moved.Routes = []haproxy.Route{{Path: "/a", Backend: "b"}}

	renamed := state("a 1", "e tcp 4")
	renamed.Frontends[1].Name = "podgate_tcp_e"
	emptied := state("a", "b 2")
	emptied.Routes = []haproxy.Route{{Path: "/a", Backend: "b"}}
	relaying := state("a 1")
	relaying.Frontends[0].Relay = netip.MustParseAddrPort("127.0.0.9:80")
	replaced := state("a 3", "b 2")
	replaced.Routes = emptied.Routes

	unmanaged := running(state("a 1"))
	unmanaged.Unmanaged = map[string][]string{"a": {"web1", "web2"}, "operators": {"web3"}}

	for _, row := range []planRow{
		{"equal states need no step", running(state("a 1 2!", "b")), state("a 1 2!", "b"), nil},
		{"a new server is added before the old one is removed", running(state("a 1")), state("a 2"), []string{
			"add a/10.0.0.2:80 ready", "set a/10.0.0.1:80 maint", "delete a/10.0.0.1:80 maint"}},
		{"new servers of all backends are added before any is removed", running(state("a 1", "b 3")), state("a 2", "b 4"), []string{
			"add a/10.0.0.2:80 ready", "add b/10.0.0.4:80 ready",
			"set a/10.0.0.1:80 maint", "delete a/10.0.0.1:80 maint", "set b/10.0.0.3:80 maint", "delete b/10.0.0.3:80 maint"}},
		{"a backend may be emptied", running(state("a 1")), state("a"), []string{"set a/10.0.0.1:80 maint", "delete a/10.0.0.1:80 maint"}},
		{"a server drains after its replacement is added", running(state("a 1")), state("a 1! 2"), []string{"add a/10.0.0.2:80 ready", "set a/10.0.0.1:80 drain"}},
		{"a draining server is made ready before others are removed", running(state("a 1! 2")), state("a 1"), []string{
			"set a/10.0.0.1:80 ready", "set a/10.0.0.2:80 maint", "delete a/10.0.0.2:80 maint"}},
		{"a server in maint that is wanted again is made ready", running(state("a 2"), "a 1? 2"), state("a 1 2"), []string{"set a/10.0.0.1:80 ready"}},
		{"a server in maint is deleted in a later pass", running(state("a 2"), "a 1? 2"), state("a 2"), []string{"delete a/10.0.0.1:80 maint"}},
		{"a server may be added in drain", running(state("a 1")), state("a 1 2!"), []string{"add a/10.0.0.2:80 drain"}},
		{"a deleted Service loses its route before its servers", running(state("a 1", "b 2")), state("b 2"), []string{
			"map routes */b/=b|2", "set a/10.0.0.1:80 maint", "delete a/10.0.0.1:80 maint"}},
		{"an unwanted empty backend stays until the next reload", running(state("a", "b 2"), "b 2"), state("b 2"), []string{"map routes */b/=b|2"}},
		{"a relay needs a reload", running(state("a 1")), relaying, []string{"reload: frontend podgate_http changed its relay address"}},
		{"a new backend needs a reload and its route waits for it", running(state("a 1")), state("a 1", "b 2"), []string{"reload: backend b is new"}},
		{"a new route to a loaded backend needs no reload", running(state("a 1", "b 2")), rerouted, []string{"map routes */a/=b|2"}},
		{"a route keeps its backend, with its servers, until the new backend is loaded", running(state("a 1")), moved, []string{"reload: backend b is new"}},
		{"other servers change although a reload is due", running(state("a 1")), state("a 2", "b 3"), []string{
			"reload: backend b is new", "add a/10.0.0.2:80 ready", "set a/10.0.0.1:80 maint", "delete a/10.0.0.1:80 maint"}},
		{"another algorithm needs a reload", running(state("a 1")), leastconn, []string{"reload: backend a changed its policy"}},
		{"other server options need a reload", running(state("a 1")), limited, []string{"reload: backend a changed its server options"}},
		{"another timeout changes a map", running(state("a 1")), slow, []string{"map timeouts a=60000"}},
		{"the removal of a TCP frontend needs a reload", running(state("a 1", "d tcp 3")), state("a 1"), []string{
			"reload: frontend podgate_tcp is removed", "set d/10.0.0.3:80 maint", "delete d/10.0.0.3:80 maint"}},
		{"a TCP frontend keeps its backend's servers until it leads to another backend", running(state("a 1", "d tcp 3")), state("a 1", "e tcp 4"), []string{
			"reload: backend e is new", "reload: frontend podgate_tcp changed its backend"}},
		{"unmanaged servers are removed from podgate's backends only", unmanaged, state("a 1"), []string{"remove unmanaged server a/web1", "remove unmanaged server a/web2"}},
		{"a TCP port that another Service gets serves the old one until the reload", running(state("a 1", "d tcp 3")), renamed, []string{
			"reload: backend e is new", "reload: frontend podgate_tcp is removed", "reload: frontend podgate_tcp_e is new"}},
		{"a backend that a route still leads to keeps its last server", running(state("a 1")), emptied, []string{"reload: backend b is new"}},
		{"a backend that a route still leads to may change servers", running(state("a 1")), replaced, []string{
			"reload: backend b is new", "add a/10.0.0.3:80 ready", "set a/10.0.0.1:80 maint", "delete a/10.0.0.1:80 maint"}},
		{"a map that the loaded configuration does not use waits for the reload", running(haproxy.State{}), state("a 1"), []string{
			"reload: backend a is new", "reload: frontend podgate_http is new"}},
	} {
		t.Run(row.name, row.run)
	}
}

func TestServerNamesAreAddresses(t *testing.T) {
	for addr, name := range map[string]string{
		"10.2.9.103:8080":    "10.2.9.103:8080",
		"[fd00::1]:8080":     "fd00::1:8080",
		"[::]:1":             ":::1",
		"[fd00:1:2:3::]:443": "fd00:1:2:3:::443",
	} {
		want := netip.MustParseAddrPort(addr)
		if got := haproxy.ServerName(want); got != name {
			t.Errorf("ServerName(%s) = %q, want %q", addr, got, name)
		}
		if got, ok := haproxy.ParseServerName(name); !ok || got != want {
			t.Errorf("ParseServerName(%q) = %s, %t, want %s", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "web1", "10.2.9.103", "010.0.0.1:80", "10.0.0.1:080", "[fd00::1]:80", "10.0.0.1:http", "::ffff:1.2.3.4:80:"} {
		if got, ok := haproxy.ParseServerName(name); ok {
			t.Errorf("ParseServerName(%q) = %s, want false", name, got)
		}
	}
}

func TestRoutesSortByFrontendHostPathAndCase(t *testing.T) {
	want := []haproxy.Route{
		{Path: "/a"}, {Path: "/a", FoldCase: true}, {Path: "/b"}, {Host: "a.test"}, {Host: "a.test", Path: "/a"}, {TLS: true},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, haproxy.Route.Compare)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSetAside(t *testing.T) {
	slower := state("a 1", "b 2", "d tcp 3")
	slower.Backends.At(0).Policy.Balance = haproxy.LeastConn
	elsewhere := state("a 1", "d tcp 4")
	elsewhere.Frontends[1].Name = "podgate_other"
	for _, row := range []struct {
		name         string
		want, loaded haproxy.State
		aside        string
		state        string
	}{
		{"a new backend is removed with its route", state("a 1", "b 2"), state("a 1"), "b", state("a 1").String()},
		{"a new TCP backend is removed with its frontend", state("a 1", "d tcp 3"), state("a 1"), "d", state("a 1").String()},
		{"a loaded backend keeps its configuration, with its present servers", slower, state("a 9", "b 2", "d tcp 3"), "a", state("a 1", "b 2", "d tcp 3").String()},
		{"a loaded TCP frontend keeps its address", elsewhere, state("a 1", "d tcp 3"), "d", state("a 1", "d tcp 4").String()},
		{"a backend that is not wanted is ignored", state("a 1"), state("a 1", "b 2"), "b", state("a 1").String()},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := row.want.SetAside(map[string]bool{row.aside: true}, row.loaded)
			if diff := cmp.Diff(row.state, got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
