// SPDX-License-Identifier: Apache-2.0

package cfgfile_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
)

// checked returns a State with one backend, whose servers are checked and do not
// exist.
func checked(servers int, interval time.Duration) haproxy.State {
	b := &haproxy.Backend{
		Name: "shop", Policy: haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin},
		Options: haproxy.Options{Protocol: haproxy.Plain, Check: true, CheckInterval: interval},
	}
	for i := range servers {
		addr := netip.AddrFrom4([4]byte{127, byte(9 + i>>16), byte(i >> 8), byte(i)})
		b.Servers = append(b.Servers, haproxy.Server{Addr: netip.AddrPortFrom(addr, 1)})
	}
	return haproxy.State{Backends: haproxy.ListOf(b)}
}

func TestSpreadChecksPreventsTheOverflow(t *testing.T) {
	for _, row := range []struct {
		servers  int
		interval time.Duration
		want     string
	}{
		{0, time.Hour, "max-spread-checks 1048575\n"},
		{10, 5 * time.Second, ""},
		{60_000, 30 * time.Second, ""},
		{100_000, 5 * time.Second, ""},
		{100_000, 30 * time.Second, "max-spread-checks 16383\n"},
		{10_000, time.Hour, "max-spread-checks 131071\n"},
		{10_001, time.Hour, "max-spread-checks 131071\n"},
	} {
		state := checked(row.servers, row.interval)
		files, err := cfgfile.Render(state, "/f")
		must(t, err)
		var got string
		if _, rest, found := strings.Cut(string(files.Config()), "max-spread-checks "); found {
			value, _, _ := strings.Cut(rest, "\n")
			got = "max-spread-checks " + value + "\n"
		}
		if got != row.want {
			t.Errorf("%d servers, %s: got %q, want %q", row.servers, row.interval, got, row.want)
		}
		bare, err := cfgfile.Render(state.Structure(), "/f")
		if err != nil || bare.Generation != files.Generation {
			t.Errorf("%d servers, %s: generation %s, without servers %s, %v", row.servers, row.interval, files.Generation, bare.Generation, err)
		}
	}
}

// TestHAProxySpreadsItsFirstChecks starts a HAProxy that would send 808 of these 2,000
// checks immediately without spreadChecks.
func TestHAProxySpreadsItsFirstChecks(t *testing.T) {
	const servers, most = 2000, 100
	h := haproxytest.Run(t, haproxytest.Options{})
	state := checked(servers, time.Hour)
	clock, ticks := newClock(t)
	state.Backends = haproxy.ListOf(clock, state.Backends.At(0))
	files, err := cfgfile.Render(state, h.Folder)
	must(t, err)
	texts := map[string][]byte{cfgfile.ConfigFile: files.Config(), cfgfile.ServerStateFile: []byte("1\n")}
	for name, text := range files.Maps {
		texts[name] = text
	}
	must(t, h.Write(texts))
	must(t, h.Restart(t.Context()))
	for range 5 {
		<-ticks
	}
	stats, err := runtime.New(h.Admin, h.Master, h.Folder).ServerStats(t.Context(), "shop")
	must(t, err)
	done := 0
	for _, s := range stats {
		if s.Check != "INI" {
			done++
		}
	}
	if len(stats) != servers || done > most {
		t.Errorf("%d of %d servers were checked in the first second, want at most %d of %d", done, len(stats), most, servers)
	}
}

// newClock returns a backend whose one server is checked five times a second, and a
// channel that receives a value for each check.
func newClock(t *testing.T) (*haproxy.Backend, chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	ticks := make(chan struct{})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
			select {
			case ticks <- struct{}{}:
			case <-t.Context().Done():
				return
			}
		}
	}()
	b := checked(0, 200*time.Millisecond).Backends.At(0)
	b.Name, b.Policy.CheckPath = "clock", "/" // without a path HAProxy resets the connection before it is accepted
	b.Servers = []haproxy.Server{{Addr: l.Addr().(*net.TCPAddr).AddrPort()}}
	return b, ticks
}
