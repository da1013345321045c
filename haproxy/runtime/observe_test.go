// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"net/netip"
	"strings"
	"testing"

	"podgate/haproxy"
	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
)

func TestProcess(t *testing.T) {
	b := newBox(t)
	p, err := b.Process(t.Context())
	must(t, err)
	if p.Pid != b.Pid() || p.Generation != "" || p.Version == "" {
		t.Errorf("Process of an empty HAProxy: %+v, want Pid %d, a Version and no Generation", p, b.Pid())
	}
	s := b.shop(t, nil)
	want := b.write(t, s)
	b.load(t, s)
	if p, err = b.Process(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Pid != b.Pid() || p.Generation != want {
		t.Errorf("Process: %+v, want Pid %d and Generation %s", p, b.Pid(), want)
	}
}

func TestGenerationIsOneWordOfTheDescription(t *testing.T) {
	h := haproxytest.Run(t, haproxytest.Options{Global: []string{`description "edge 7, rack gen-a gen=4711 spare"`}})
	p, err := runtime.New(h.Admin, h.Master, h.Folder).Process(t.Context())
	must(t, err)
	if p.Generation != "4711" {
		t.Errorf("Generation %q, want 4711", p.Generation)
	}
}

func TestServers(t *testing.T) {
	v4, v6, third := ready("127.0.0.1:8001"), ready("[fd00::7]:443"), ready("127.0.0.1:8003")
	for _, row := range []struct {
		name     string
		commands []string
		want     []haproxy.Server
	}{
		{"declared servers are ready", nil, []haproxy.Server{v4, third, v6}},
		{
			"servers in maint and in drain",
			[]string{"set server shop/127.0.0.1:8001 state maint", "set server shop/fd00::7:443 state drain"},
			append(withState(haproxy.Maint, v4), append([]haproxy.Server{third}, withState(haproxy.Drain, v6)...)...),
		},
		{
			"a server that leaves maint is ready",
			[]string{"set server shop/127.0.0.1:8001 state maint", "set server shop/127.0.0.1:8001 state ready"},
			[]haproxy.Server{v4, third, v6},
		},
		{
			"servers with another address than that of their name are returned as maint",
			[]string{"set server shop/127.0.0.1:8001 addr 127.0.0.9", "set server shop/127.0.0.1:8003 addr 127.0.0.1 port 8004"},
			append(withState(haproxy.Maint, v4, third), v6),
		},
		{
			"unmanaged servers are skipped",
			[]string{"add server shop/web1 127.0.0.1:8001", "enable server shop/web1"},
			[]haproxy.Server{v4, third, v6},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBox(t)
			b.load(t, b.shop(t, nil, v4, third, v6))
			for _, command := range row.commands {
				b.command(t, command)
				b.awaitAddr(t, command)
			}
			compare(t, "Servers", row.want, b.servers(t, "shop"))
			all, err := b.Servers(t.Context(), nil)
			must(t, err)
			compare(t, "Servers of all backends", map[string][]haproxy.Server{"shop": row.want}, all)
		})
	}
}

func TestDisabledServerIsReadyAfterItIsEnabled(t *testing.T) {
	b := newBox(t)
	must(t, b.Write(map[string][]byte{"a.cfg": []byte("backend theirs\n  server 127.0.0.1:8001 127.0.0.1:8001 disabled\n")}))
	b.load(t, b.shop(t, nil))
	want := ready("127.0.0.1:8001")
	compare(t, "Servers", withState(haproxy.Maint, want), b.servers(t, "theirs"))
	b.command(t, "set server theirs/127.0.0.1:8001 state ready")
	compare(t, "Servers once enabled", []haproxy.Server{want}, b.servers(t, "theirs"))
}

func TestServersSendsSeveralLinesForManyBackends(t *testing.T) {
	b := newBox(t)
	s := b.shop(t, nil)
	s.Routes = nil
	var backends []*haproxy.Backend
	want := map[string][]haproxy.Server{}
	var names []string
	for i := range 300 {
		name := strings.Repeat("x", 80) + string(rune('a'+i/100)) + string(rune('a'+i/10%10)) + string(rune('a'+i%10))
		srv := haproxy.Server{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}), uint16(1000+i)), State: haproxy.Ready}
		backends = append(backends, &haproxy.Backend{
			Name:    name,
			Policy:  haproxy.Policy{Mode: haproxy.TCP, Balance: haproxy.LeastConn},
			Options: haproxy.Options{Protocol: haproxy.Plain},
			Servers: []haproxy.Server{srv},
		})
		names = append(names, name)
		want[name] = []haproxy.Server{srv}
	}
	s.Backends = haproxy.ListOf(backends...)
	b.load(t, s)
	got, err := b.Servers(t.Context(), append(names, "missing"))
	must(t, err)
	compare(t, "Servers", want, got)
}

func TestMapsThatAreNotLoadedAreEmpty(t *testing.T) {
	got, err := newBox(t).Maps(t.Context())
	must(t, err)
	var want []haproxy.Map
	for _, name := range haproxy.MapNames() {
		want = append(want, haproxy.Map{Name: name})
	}
	compare(t, "Maps", want, got)
}

func TestMapsReturnsTheFirstOfTwoEqualKeys(t *testing.T) {
	pod, _ := newPod(t)
	b := newBox(t)
	s := b.shop(t, nil, pod)
	generation := b.write(t, s)
	// The second line of the same key would lead to no backend.
	must(t, b.Write(map[string][]byte{"routes.map": []byte("z/ missing|1\n*/ shop|0\n*/ missing|0\n")}))
	if _, err := b.Reload(t.Context(), generation); err != nil {
		t.Fatal(err)
	}
	maps, err := b.Maps(t.Context())
	must(t, err)
	want := []haproxy.MapEntry{{Key: "*/", Value: "shop|0"}, {Key: "z/", Value: "missing|1"}}
	compare(t, "Maps", want, maps[routesMap()].Entries)
	if r := mustGet(t, s.Frontends[0].Binds[0], "/"); r.Status != 200 {
		t.Errorf("request: %d, want 200 by the first line", r.Status)
	}
}

func TestObserveReadsTheStandingOfAllBackends(t *testing.T) {
	b := newBox(t)
	b.load(t, b.shop(t, nil, ready("127.0.0.1:8001"), ready("127.0.0.1:8002"), ready("127.0.0.1:8003")))
	for _, state := range []string{"8001 state maint", "8002 state drain", "8003 addr 127.0.0.9"} {
		b.command(t, "set server shop/127.0.0.1:"+state)
	}
	b.awaitAddr(t, "set server shop/127.0.0.1:8003 addr 127.0.0.9")
	want, err := b.Standing(t.Context(), []string{"shop", "missing"})
	must(t, err)
	observed, err := b.Observe(t.Context())
	must(t, err)
	compare(t, "Standing", want, observed.Standing)
	if none, err := b.Standing(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("Standing of no backend: %v, %v", none, err)
	}
	rows := observed.Standing["shop"].Rows
	for server, listed := range map[string]bool{" 127.0.0.1:8001 127.0.0.1 ": true, " 127.0.0.1:8002 127.0.0.1 ": true, " 127.0.0.1:8003 ": false} {
		if strings.Contains(rows, server) != listed {
			t.Errorf("the server %q is in the rows: %t, want %t:\n%s", server, !listed, listed, rows)
		}
	}
}
