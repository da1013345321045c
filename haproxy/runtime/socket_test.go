// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// fakeSocket answers the first line of a connection with reply, then hangs or closes.
type fakeSocket struct {
	path   string
	reply  string
	hangs  bool
	served atomic.Int32  // connections so far
	closed chan struct{} // closed at the end of the test
}

func newFakeSocket(t *testing.T, reply string) *fakeSocket {
	t.Helper()
	f := &fakeSocket{path: filepath.Join(shortDir(t), "s"), reply: reply, closed: make(chan struct{})}
	l, err := net.Listen("unix", f.path)
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.serve(conn)
		}
	}()
	t.Cleanup(func() {
		close(f.closed)
		l.Close()
		<-done
	})
	return f
}

func (f *fakeSocket) serve(conn net.Conn) {
	defer conn.Close()
	f.served.Add(1)
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		return
	}
	if _, err := conn.Write([]byte(f.reply)); err != nil {
		return
	}
	if f.hangs {
		<-f.closed
	}
}

// shortDir returns a folder with a path that is short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "podgate")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestTimeoutOfASocketThatHangs(t *testing.T) {
	for _, row := range []struct{ name, reply string }{
		{"no reply", ""},
		{"half a reply", "2.6.12\n\nPid: 7\nVer"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFakeSocket(t, row.reply)
			f.hangs = true
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := runtime.New(f.path, f.path, "/conf").Process(ctx)
			want := "observe HAProxy: " + f.path + ": no answer: context deadline exceeded"
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v is not context.DeadlineExceeded", err)
			}
		})
	}
}

func TestWholeReplyWithoutAnEndOfTheConnection(t *testing.T) {
	f := newFakeSocket(t, "2.6.12\n\nPid: 7\n\n2.6.12\n\n")
	f.hangs = true
	if p, err := runtime.New(f.path, f.path, "/conf").Process(t.Context()); p.Pid != 7 || err != nil {
		t.Errorf("Process: %+v, %v, want Pid 7", p, err)
	}
}

func TestCancelEndsAnExchange(t *testing.T) {
	f := newFakeSocket(t, "")
	f.hangs = true
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := runtime.New(f.path, f.path, "/conf").Process(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestReplyCutShortIsAnError(t *testing.T) {
	for _, row := range []struct{ name, reply string }{
		{"before the first word", ""},
		{"in the first word", "2.6"},
		{"in the middle", "2.6.12\n\nPid: 7\n"},
		{"in the last word", "2.6.12\n\nPid: 7\n\n2.6"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFakeSocket(t, row.reply)
			_, err := runtime.New(f.path, f.path, "/conf").Process(t.Context())
			want := "observe HAProxy: " + f.path + ": reply cut short: 0 of 1 commands answered (was HAProxy reloaded or restarted?)"
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestErrorsContainARemedy(t *testing.T) {
	dir := shortDir(t)
	missing := filepath.Join(dir, "missing")
	dead := filepath.Join(dir, "dead")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead})
	must(t, err)
	l.SetUnlinkOnClose(false)
	l.Close()
	answers := newFakeSocket(t, "2.6.12\n\nPid: 1\n\n2.6.12\n\n")
	for _, row := range []struct {
		name, admin, master string
		call                func(*runtime.Client) error
		want                string
	}{
		{
			"no admin socket", missing, missing, process,
			"observe HAProxy: dial unix " + missing + ": connect: no such file or directory (is HAProxy running, and is this the stats socket of its configuration?)",
		},
		{
			"an admin socket without a listener", dead, dead, process,
			"observe HAProxy: dial unix " + dead + ": connect: connection refused (is HAProxy running, and is this the stats socket of its configuration?)",
		},
		{
			"no master socket", answers.path, missing, reload,
			"reload HAProxy: dial unix " + missing + ": connect: no such file or directory (is HAProxy running, and is this the master socket of its -S option?)",
		},
		{
			"apply without an admin socket", missing, missing, apply,
			"apply to HAProxy: dial unix " + missing + ": connect: no such file or directory (is HAProxy running, and is this the stats socket of its configuration?)",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.call(runtime.New(row.admin, row.master, "/conf"))
			if err == nil || err.Error() != row.want {
				t.Errorf("got  %v\nwant %s", err, row.want)
			}
		})
	}
}

func process(c *runtime.Client) error {
	_, err := c.Process(context.Background())
	return err
}

func reload(c *runtime.Client) error {
	_, err := c.Reload(context.Background(), "x")
	return err
}

func apply(c *runtime.Client) error {
	b := &haproxy.Backend{Name: "shop", Options: haproxy.Options{Protocol: haproxy.Plain}}
	_, err := c.Apply(context.Background(), haproxy.Plan{Add: changes(haproxy.AddServer, b, ready("127.0.0.1:80"))})
	return err
}

func TestMissingPermissionErrorNamesTheGroup(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may open every socket")
	}
	f := newFakeSocket(t, "")
	must(t, os.Chmod(f.path, 0))
	err := process(runtime.New(f.path, f.path, "/conf"))
	want := "observe HAProxy: dial unix " + f.path + ": connect: permission denied (is podgate in group haproxy?)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestRepliesOfOneLineAreSeparated(t *testing.T) {
	const version = "2.6.12\n\n"
	row := strings.Repeat("0 ", 18) + "80 - 0 0 - - 0\n"
	f := newFakeSocket(t, version+"1\n# head\n"+row+"\n"+version+"Can't find backend.\n\n"+version)
	got, err := runtime.New(f.path, f.path, "/conf").Servers(t.Context(), []string{"a", "b"})
	must(t, err)
	if len(got) != 0 {
		t.Errorf("Servers: %v, want none", got)
	}
}

func TestServersRejectsAnotherFormat(t *testing.T) {
	const version = "2.6.12\n\n"
	f := newFakeSocket(t, version+"Permission denied\n\n"+version)
	_, err := runtime.New(f.path, f.path, "/conf").Servers(t.Context(), nil)
	want := `observe HAProxy: show servers state: got "Permission denied", want version 1 of the format`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
