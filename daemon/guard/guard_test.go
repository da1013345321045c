// SPDX-License-Identifier: Apache-2.0

package guard_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"podgate/daemon/confdir"
	"podgate/daemon/guard"
	"podgate/haproxy"
)

// shops is a State with n backends of two servers each.
func shops(n int) haproxy.State {
	var backends []*haproxy.Backend
	for i := range n {
		b := &haproxy.Backend{Name: fmt.Sprintf("shop_s%d_80", i)}
		for j := range 2 {
			b.Servers = append(b.Servers, haproxy.Server{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), byte(j)}), 80), State: haproxy.Ready})
		}
		backends = append(backends, b)
	}
	return haproxy.State{Backends: haproxy.ListOf(backends...)}
}

// withGuard runs a test in a synctest bubble, with a Guard that has six backends in service
// and holds a removal of more than half of them for five minutes.
func withGuard(t *testing.T, test func(t *testing.T, g *guard.Guard, dir confdir.Dir)) {
	synctest.Test(t, func(t *testing.T) {
		dir := confdir.Dir(t.TempDir())
		g := guard.New(guard.Limits{MaxRemoval: 50, FromCount: 4, HoldTime: 5 * time.Minute}, dir, time.Now, slog.New(slog.DiscardHandler))
		g.CountList(1)
		g.Begin(shops(6))
		test(t, g, dir)
	})
}

// hold removes all backends except one, which the guard holds.
func hold(t *testing.T, g *guard.Guard) {
	t.Helper()
	if n := g.Hold(shops(1)).Backends.Len(); n != 6 || g.Removal() == nil {
		t.Fatalf("%d backends are served, want 6; held: %v", n, g.Removal())
	}
}

func TestWhenARemovalIsHeldAndReleased(t *testing.T) {
	const all, one = 6, 1
	for _, row := range []struct {
		name   string
		during func(t *testing.T, g *guard.Guard, dir confdir.Dir)
		wanted int // backends, after that
		served int
		holds  bool
	}{
		{"the removal of most backends is held", nil, one, all, true},
		{"the return of the backends ends the hold", nil, all, all, false},
		{"the removal of half of the backends is not held", nil, 3, 3, false},
		{"time alone releases nothing", func(*testing.T, *guard.Guard, confdir.Dir) { time.Sleep(time.Hour) }, one, all, true},
		{"a list before the time is over releases nothing", func(_ *testing.T, g *guard.Guard, _ confdir.Dir) { g.CountList(2) }, one, all, true},
		{"nothing is released without a second list", func(t *testing.T, g *guard.Guard, _ confdir.Dir) {
			time.Sleep(5 * time.Minute)
			for range 360 { // an hour without an API server
				if !g.WantsList() {
					t.Error("no list is wanted")
				}
				g.Hold(shops(one))
				time.Sleep(10 * time.Second)
			}
		}, one, all, true},
		{"a list that was requested after the hold time releases", func(t *testing.T, g *guard.Guard, _ confdir.Dir) {
			time.Sleep(5 * time.Minute)
			if !g.WantsList() {
				t.Error("no list is wanted")
			}
			g.CountList(2)
		}, one, one, false},
		{"another cluster releases", func(_ *testing.T, g *guard.Guard, _ confdir.Dir) { g.Release() }, one, one, false},
		{"a changed podgate.toml does not release", func(_ *testing.T, g *guard.Guard, _ confdir.Dir) { g.Accept(shops(one)) }, one, all, true},
		{"a confirmation releases", func(t *testing.T, g *guard.Guard, dir confdir.Dir) {
			if _, err := dir.WriteConfirm(g.Removal().Since); err != nil {
				t.Error(err)
			}
		}, one, one, false},
		{"a confirmation of another removal does not release", func(t *testing.T, g *guard.Guard, dir confdir.Dir) {
			if _, err := dir.WriteConfirm(g.Removal().Since.Add(-time.Second)); err != nil {
				t.Error(err)
			}
		}, one, all, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			withGuard(t, func(t *testing.T, g *guard.Guard, dir confdir.Dir) {
				hold(t, g)
				if row.during != nil {
					row.during(t, g, dir)
				}
				if n := g.Hold(shops(row.wanted)).Backends.Len(); n != row.served {
					t.Errorf("%d backends are served, want %d", n, row.served)
				}
				if holds := g.Removal() != nil; holds != row.holds {
					t.Errorf("held: %v, want %v", g.Removal(), row.holds)
				}
				if _, err := guard.Held(dir); row.holds && err != nil || !row.holds && !errors.Is(err, guard.ErrNothingHeld) {
					t.Errorf("podgate confirm finds %v", err)
				}
			})
		})
	}
}

func TestAListIsWantedAfterTheHoldTimeAndThenEveryTenSeconds(t *testing.T) {
	withGuard(t, func(t *testing.T, g *guard.Guard, _ confdir.Dir) {
		if !g.Next().IsZero() || g.WantsList() {
			t.Error("a list is wanted although nothing is held")
		}
		hold(t, g)
		for _, pause := range []time.Duration{5 * time.Minute, 10 * time.Second, 10 * time.Second} {
			if next := time.Until(g.Next()); next != pause || g.WantsList() {
				t.Errorf("the next list is wanted in %s, want %s", next, pause)
			}
			time.Sleep(pause)
			if !g.WantsList() {
				t.Errorf("no list is wanted after %s", pause)
			}
		}
	})
}

func TestARemovalByPodgateTomlIsNotHeld(t *testing.T) {
	withGuard(t, func(t *testing.T, g *guard.Guard, _ confdir.Dir) {
		g.Accept(shops(1))
		if n := g.Hold(shops(1)).Backends.Len(); n != 1 || g.Removal() != nil {
			t.Errorf("%d backends are served, want 1; held: %v", n, g.Removal())
		}
	})
}

func TestARemovalNamesTheServersOfEachBackend(t *testing.T) {
	withGuard(t, func(t *testing.T, g *guard.Guard, _ confdir.Dir) {
		hold(t, g)
		r := g.Removal()
		if want := (haproxy.Loss{Servers: 10, OfServers: 12, Backends: 5, OfBackends: 6}); r.Loss != want {
			t.Errorf("held: %v, want %v", r.Loss, want)
		}
		if r.ServersOf("shop_s0_80") != 0 || r.ServersOf("shop_s5_80") != 2 || (*guard.Removal)(nil).ServersOf("shop_s5_80") != 0 {
			t.Errorf("held, by backend: %v", r.Servers)
		}
	})
}
