// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

func TestServerStatsAndUp(t *testing.T) {
	b := newBox(t)
	alive, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer alive.Close()
	up := alive.Addr().(*net.TCPAddr).AddrPort()
	down := netip.AddrPortFrom(netip.MustParseAddr("127.66.1.9"), 1)
	s := haproxy.State{Backends: haproxy.ListOf(&haproxy.Backend{
		Name:    "shop_cart_80",
		Policy:  haproxy.Policy{Mode: haproxy.TCP, Balance: haproxy.RoundRobin},
		Options: haproxy.Options{Protocol: haproxy.Plain, Check: true, CheckInterval: 100 * time.Millisecond},
		Servers: []haproxy.Server{{Addr: up, State: haproxy.Ready}, {Addr: down, State: haproxy.Ready}},
	})}
	b.load(t, s)
	await(t, "the check fails", func() error {
		counts, err := b.Up(t.Context())
		if err != nil || counts["shop_cart_80"] != 1 {
			return fmt.Errorf("up %v, %v", counts, err)
		}
		return nil
	})
	await(t, "the server is down", func() error { // after the first failed check its status is "UP 1/3"
		stats, err := b.ServerStats(t.Context(), "shop_cart_80")
		if err != nil || len(stats) != 2 {
			t.Fatalf("got %v, %v", stats, err)
		}
		for _, st := range stats {
			want := runtime.ServerStat{Name: haproxy.ServerName(up), Status: "UP", Check: "L4OK"}
			if st.Name != want.Name {
				want = runtime.ServerStat{Name: haproxy.ServerName(down), Status: "DOWN", Check: "L4CON"}
			}
			if st.Name != want.Name || st.Status != want.Status || st.Check != want.Check || st.Up() != (want.Status == "UP") {
				return fmt.Errorf("got %+v, want %+v", st, want)
			}
		}
		return nil
	})
	if stats, err := b.ServerStats(t.Context(), "none"); stats != nil || err != nil {
		t.Errorf("of a missing backend: %v, %v", stats, err)
	}
}

func TestOldWorkersAreCounted(t *testing.T) {
	b, s := newShop(t, nil)
	hold(t, s)
	if n := b.OldWorkers(t.Context()); n != 0 {
		t.Errorf("before the reload: %d", n)
	}
	b.load(t, s)
	await(t, "an old worker", func() error {
		if n := b.OldWorkers(t.Context()); n != 1 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
}

// await is eventually for a condition that returns an error while it is false.
func await(t *testing.T, what string, ok func() error) {
	t.Helper()
	var err error
	defer func() {
		if t.Failed() {
			t.Logf("%s: %v", what, err)
		}
	}()
	eventually(t, what, func() bool {
		err = ok()
		return err == nil
	})
}
