// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// hold opens a connection to the frontend, so that its worker runs on as an old worker.
func hold(t *testing.T, s haproxy.State) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Frontends[0].Binds[0].String())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write([]byte("GET")); err != nil {
		t.Fatal(err)
	}
}

// holdSession opens a Session with a HAProxy that has loaded the shop, and holds a
// connection of its process.
func holdSession(t *testing.T, servers ...haproxy.Server) (box, haproxy.State, *runtime.Session) {
	t.Helper()
	b, s := newShop(t, nil, servers...)
	hold(t, s)
	session := b.Session(t.Context())
	t.Cleanup(session.Close)
	return b, s, session
}

func TestSessionQueriesAndChangesOneProcess(t *testing.T) {
	old, next, other := ready("127.0.0.1:8001"), ready("127.0.0.1:8002"), ready("127.0.0.1:8003")
	b, s, session := holdSession(t, old)
	before := b.Pid()
	if _, err := session.Observe(t.Context()); err != nil { // a long reply
		t.Fatal(err)
	}
	changed := s
	changed.Backends = haproxy.ListOf(new(*s.Backends.At(0)))
	changed.Backends.At(0).Servers = []haproxy.Server{next}
	b.load(t, changed)
	if p, err := session.Process(t.Context()); err != nil || p.Pid != before {
		t.Errorf("Process: %+v, %v, want Pid %d", p, err, before)
	}
	observed, err := session.Observe(t.Context())
	must(t, err)
	compare(t, "Observe", []haproxy.Server{old}, observed.Servers["shop"])
	// The old process may reject the change; the new one must not get it.
	plan := haproxy.Plan{
		Add:   changes(haproxy.AddServer, s.Backends.At(0), other),
		Leave: changes(haproxy.SetServer, s.Backends.At(0), withState(haproxy.Maint, next)...),
	}
	if _, err := session.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	compare(t, "Servers of the new process", []haproxy.Server{next}, b.servers(t, "shop"))
}

func TestSessionDoesNotApplyMapsToAnotherProcess(t *testing.T) {
	old := ready("127.0.0.1:8001")
	b, s, session := holdSession(t, old)
	plan := haproxy.Plan{Maps: []haproxy.Map{{Name: haproxy.RoutesMap, Entries: s.Maps()[routesMap()].Entries}}}
	if _, err := session.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	b.load(t, s)
	plan.Leave = changes(haproxy.SetServer, s.Backends.At(0), withState(haproxy.Maint, old)...)
	if _, err := session.Apply(t.Context(), plan); !errors.Is(err, runtime.ErrProcessChanged) {
		t.Errorf("Apply: %v, want ErrProcessChanged", err)
	}
	compare(t, "Servers", []haproxy.Server{old}, b.servers(t, "shop"))
}

func TestSessionWithoutAdminSocket(t *testing.T) {
	b, _ := newShop(t, nil, ready("127.0.0.1:8001"))
	must(t, os.Remove(b.Admin))
	session := b.Session(t.Context())
	defer session.Close()
	if p, err := session.Process(t.Context()); err != nil || p.Pid == 0 {
		t.Errorf("Process: %+v, %v", p, err)
	}
}

func TestSessionOnASocketThatHangs(t *testing.T) {
	f := newFakeSocket(t, "\n> ")
	f.hangs = true
	c := runtime.New(f.path, f.path, "/conf")
	session := c.Session(t.Context())
	defer session.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for range 2 {
		want := "observe HAProxy: " + f.path + ": no answer: context deadline exceeded"
		if _, err := c.Process(ctx); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestSessionFallsBackToTheMasterOnce has an admin socket that accepts connections and
// does not answer. Sessions try it once and then use the master CLI.
func TestSessionFallsBackToTheMasterOnce(t *testing.T) {
	for _, row := range []struct {
		name  string
		reply string // to the first line
		lost  int    // exchanges that fail
	}{
		{"it hangs after the connection", "", 0},
		{"it hangs at the first command", "\n> ", 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			hung := newFakeSocket(t, row.reply)
			hung.hangs = true
			c := runtime.New(hung.path, b.Master, b.Folder)
			for i := range 3 {
				session := c.Session(t.Context())
				p, err := session.Process(t.Context())
				session.Close()
				if lost := err != nil; lost != (i < row.lost) || !lost && p.Pid != b.Pid() {
					t.Errorf("Process, call %d: %+v, %v", i+1, p, err)
				}
			}
			if n := hung.served.Load(); n != 1 {
				t.Errorf("%d connections to the socket that hangs, want 1", n)
			}
			if c.AdminSocket() == nil {
				t.Error("AdminSocket: got nil, want an error")
			}
		})
	}
}

// TestASessionOpensAnotherConnectionAfterAReloadBySomeoneElse has the worker run on as an
// old worker, and after that restarts HAProxy.
func TestASessionOpensAnotherConnectionAfterAReloadBySomeoneElse(t *testing.T) {
	b, s := newShop(t, nil, ready("127.0.0.1:8001"))
	hold(t, s)
	c := runtime.New(b.Admin, b.Master, b.Folder)
	check := func() {
		t.Helper()
		session := c.Session(t.Context())
		defer session.Close()
		for range 2 {
			if p, err := session.Process(t.Context()); err != nil || p.Pid != b.Pid() {
				t.Errorf("Process: %+v, %v, want Pid %d", p, err, b.Pid())
			}
		}
	}
	check()
	check()
	b.load(t, s.WithoutRelay())
	check()
	must(t, b.Restart(t.Context()))
	check()
}
