// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"podgate/daemon/config"
	"podgate/daemon/drain"
	"podgate/daemon/edgetest"
)

// checked is an edge with ports for the health checks of a load balancer.
type checked struct {
	*edge
	plain, proxy netip.AddrPort
}

func newChecked(t *testing.T, more string) *checked {
	e := newEdge(t)
	c := &checked{e, e.freeAddr(t), e.freeAddr(t)}
	e.configure(t, fmt.Sprintf("[cloud]\nhealth_bind = [%q]\nhealth_proxy_bind = [%q]\n%s", c.plain, c.proxy, more))
	return c
}

// exchangeFrom is exchange over a new connection from a loopback address.
func exchangeFrom(ip string, addr netip.AddrPort, text string) (string, error) {
	conn, err := dialFrom(ip, addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return exchange(conn, text)
}

func dialFrom(ip string, addr netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: 5 * time.Second}
	return d.Dial("tcp", addr.String())
}

// exchange sends text and returns the status and the body of the answer.
func exchange(conn net.Conn, text string) (string, error) {
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	status, _, _ := bytes.Cut(answer, []byte("\r\n"))
	_, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	if len(answer) == 0 {
		return "", errors.Join(errors.New("no answer"), err)
	}
	return strings.TrimSpace(string(status[len("HTTP/1.1 "):len("HTTP/1.1 200")]) + " " + string(body)), nil
}

const (
	localhost    = "127.0.0.1"
	checkRequest = "GET /healthz HTTP/1.1\r\nHost: lb\r\n\r\n"
)

// awaitHealth waits until the answers of both ports begin with want.
func (c *checked) awaitHealth(t *testing.T, want string) {
	t.Helper()
	for addr, text := range map[netip.AddrPort]string{c.plain: checkRequest, c.proxy: "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + checkRequest} {
		eventually(t, "health", func() error {
			got, err := exchangeFrom(localhost, addr, text)
			if err == nil && !strings.HasPrefix(got, want) {
				err = fmt.Errorf("got %q, want %q", got, want)
			}
			return err
		})
	}
}

func (c *checked) drain(t *testing.T, o drain.Options) string {
	t.Helper()
	out, err := c.tryDrain(t, o)
	must(t, err)
	return out
}

func (c *checked) tryDrain(t *testing.T, o drain.Options) (string, error) {
	cfg, err := config.Load(c.TOML)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = drain.Begin(t.Context(), cfg, o, &out)
	return out.String(), err
}

func (c *checked) undrain(t *testing.T, end func(context.Context, *config.Config, io.Writer) error) string {
	t.Helper()
	cfg, err := config.Load(c.TOML)
	must(t, err)
	var out strings.Builder
	must(t, end(t.Context(), cfg, &out))
	return out.String()
}

func TestHealthChecksShowTheStateOfTheNode(t *testing.T) {
	t.Parallel()
	c := newChecked(t, "")
	c.Cluster.Stop()
	c.service(t, "cart", nil, newPod(t, "cart-0"))
	c.service(t, "none", nil)
	c.start(t)
	c.awaitHealth(t, "503 503 never in sync")
	must(t, c.Cluster.Start(""))
	c.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	c.awaitHealth(t, "200 200 serving")

	for _, row := range []struct{ path, want string }{
		{"/healthz/shop_cart_80", "200 200 serving"},
		{"/healthz/shop_none_80", "503 503 no usable server"},
		{"/healthz/unknown", "503 503 no usable server"},
		{"/healthzz", "404 404 this is no health check"},
		{"/", "404 404 this is no health check"},
	} {
		got, err := exchangeFrom(localhost, c.plain, "GET "+row.path+" HTTP/1.1\r\nHost: lb\r\n\r\n")
		if err != nil || got != row.want {
			t.Errorf("%s: got %q, %v, want %q", row.path, got, err, row.want)
		}
	}
	if got, err := exchangeFrom(localhost, c.plain, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"+checkRequest); !strings.HasPrefix(got, "400") {
		t.Errorf("a PROXY header on the plain port: got %q, %v", got, err)
	}
	if got, err := exchangeFrom(localhost, c.proxy, checkRequest); err == nil {
		t.Errorf("no PROXY header on the PROXY port: got %q", got)
	}

	c.Cluster.Stop()
	c.awaitLog(t, "API server")
	c.awaitHealth(t, "200 200 serving")
	c.stop(t)
	c.awaitHealth(t, "200 200 serving")
	c.restartHAProxy(t)
	c.awaitHealth(t, "200 200 serving")
	c.Log.Reset()
	c.start(t) // without an API server
	c.awaitLog(t, "API server")
	c.awaitHealth(t, "200 200 serving")
}

func TestHealthChecksFromUnlistedSourcesAreDropped(t *testing.T) {
	t.Parallel()
	c := newChecked(t, "health_sources = [\"127.99.0.0/16\"]\n")
	c.start(t)
	eventually(t, "a listed source is answered", func() error {
		got, err := exchangeFrom("127.99.1.2", c.plain, checkRequest)
		if err == nil && got != "200 200 serving" {
			err = errors.New(got)
		}
		return err
	})
	if got, err := exchangeFrom("127.98.1.2", c.plain, checkRequest); err == nil {
		t.Errorf("a source that is not listed got %q", got)
	}
}

// A check whose connection is open when its worker begins to stop is answered by the next
// worker, and fails without one.
func TestAHealthCheckMeetsAWorkerThatStops(t *testing.T) {
	t.Parallel()
	c := newChecked(t, "")
	c.serveCart(t)
	c.awaitHealth(t, "200 200 serving")
	c.awaitReloads(t)
	over := c.connect(t, c.plain)
	c.awaitReloads(t, c.serviceWithReload(t, "more", newPod(t, "more-0")))
	if got, err := exchange(over, checkRequest); got != "200 200 serving" {
		t.Errorf("over a reload: got %q, %v", got, err)
	}
	c.stop(t)
	last := c.connect(t, c.plain)
	must(t, syscall.Kill(c.HAProxy.Pid(), syscall.SIGUSR1))
	awaitThat(t, "the port is closed", func() bool {
		conn, err := net.Dial("tcp", c.plain.String())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if got, err := exchange(last, checkRequest); !strings.HasPrefix(got, "503") {
		t.Errorf("in a worker that stops: got %q, %v", got, err)
	}
}

// connect opens a connection that HAProxy has accepted: it has answered a later one.
func (c *checked) connect(t *testing.T, addr netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = exchangeFrom(localhost, c.plain, checkRequest)
	must(t, err)
	return conn
}

func TestADrainLastsUntilUndrain(t *testing.T) {
	t.Parallel()
	c := newChecked(t, "drain_wait = \"0s\"\n")
	c.serveCart(t)
	c.awaitHealth(t, "200")
	if got, want := c.drain(t, drain.Options{}), "health checks fail now, so that the load balancer sends clients elsewhere\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, err := exchangeFrom(localhost, c.plain, checkRequest); got != "503 503 draining" { // immediately
		t.Errorf("health: got %q, %v", got, err)
	}
	c.awaitLog(t, "draining, health checks fail")
	c.service(t, "more", nil, newPod(t, "more-0"))
	c.awaitAnswer(t, "any", "/more/", "200 more-0 /") // a reload, and clients are served
	c.awaitHealth(t, "503 503 draining")
	c.restartHAProxy(t)
	c.awaitHealth(t, "503 503 draining")
	c.stop(t)
	c.awaitHealth(t, "503 503 draining")
	c.start(t)
	c.service(t, "late", nil, newPod(t, "late-0"))
	c.awaitAnswer(t, "any", "/late/", "200 late-0 /")
	c.awaitHealth(t, "503 503 draining")
	c.awaitLogCount(t, "drift", 0)
	if got := c.undrain(t, drain.EndExpired); got != "the drain has not expired\n" {
		t.Errorf("undrain --if-over: got %q", got)
	}
	if got := c.undrain(t, drain.End); got != "health checks pass again\n" {
		t.Errorf("undrain: got %q", got)
	}
	c.awaitHealth(t, "200")
	c.awaitLog(t, "drain is over")

	// podgate is stopped, and HAProxy is restarted.
	c.stop(t)
	c.drain(t, drain.Options{})
	c.awaitHealth(t, "503 503 draining")
	c.restartHAProxy(t)
	c.awaitHealth(t, "503 503 draining")
	c.undrain(t, drain.End)
	c.awaitHealth(t, "200")
}

func TestADrainEndsByItself(t *testing.T) {
	t.Parallel()
	c := newChecked(t, "")
	c.start(t)
	c.awaitHealth(t, "200")
	out := c.drain(t, drain.Options{For: 300 * time.Millisecond})
	if want := "the drain ends after 300ms if podgate is running then\n"; !strings.HasSuffix(out, want) {
		t.Errorf("got %q", out)
	}
	c.awaitHealth(t, "200")
	c.awaitLog(t, "drain is over")

	// A drain until the next boot, which began before this boot.
	c.drain(t, drain.Options{UntilBoot: true})
	c.awaitHealth(t, "503")
	c.stop(t)
	file := filepath.Join(c.HAProxy.Folder, "podgate.drain")
	text, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(text, []byte(`"since":"20`)) {
		t.Fatalf("%s, %v", text, err)
	}
	must(t, os.WriteFile(file, bytes.Replace(text, []byte(`"since":"20`), []byte(`"since":"19`), 1), 0o600))
	c.Cluster.Stop() // podgate need not know the cluster for that
	c.start(t)
	c.awaitHealth(t, "200")
}

func TestDrainWaitsForSessions(t *testing.T) {
	t.Parallel()
	c := newChecked(t, "drain_wait = \"500ms\"\ndrain_timeout = \"10s\"\n")
	c.serveCart(t)
	c.awaitHealth(t, "200")
	l := c.startLoad(t, "/cart/a")
	drained := c.startDrain(t)
	c.awaitHealth(t, "503")
	// An upgraded connection stays open; the others end with their next answer.
	conn := upgrade(t, c.HTTP, "/cart/")
	l.check(t)
	drained.awaitLine(t, "waiting for 1 sessions to end")
	echo(t, conn, "during the drain")
	must(t, conn.Close())
	if got := drained.end(); got != "" || !strings.HasSuffix(drained.out.String(), "drained: no sessions are left\n") {
		t.Errorf("got %s: %q", got, &drained.out)
	}
}

func TestAPersistentConnectionEndsWithItsNextAnswerInADrain(t *testing.T) {
	t.Parallel()
	c := newChecked(t, "drain_wait = \"0s\"\ndrain_timeout = \"100ms\"\n")
	c.serveCart(t)
	c.awaitHealth(t, "200")
	conn := c.connect(t, c.HTTP)
	out, err := c.tryDrain(t, drain.Options{Wait: true})
	var sessions *drain.SessionsError
	if !errors.As(err, &sessions) || sessions.Sessions != 1 || !strings.Contains(out, "waiting for 1 sessions to end") && out == "" {
		t.Errorf("got %q, %v", out, err)
	}
	answer, err := exchange(conn, "GET /cart/ HTTP/1.1\r\nHost: any\r\n\r\n") // reads to the end
	if answer != "200 cart-0 /" {
		t.Errorf("got %q, %v", answer, err)
	}
	if out := c.drain(t, drain.Options{Wait: true}); !strings.HasSuffix(out, "drained: no sessions are left\n") {
		t.Errorf("got %q", out)
	}
}

// TestADrainWaitsForAHAProxyThatHasNotLoaded is a shutdown in podgate's first second.
func TestADrainWaitsForAHAProxyThatHasNotLoaded(t *testing.T) {
	t.Parallel()
	const wait = time.Second
	c := newChecked(t, "drain_wait = \"1s\"\n")
	drained := c.startDrain(t)
	drained.awaitLine(t, "retrying for 10s: HAProxy has not loaded podgate's configuration")
	edgetest.Pause(t.Context(), wait/2) // if the command counted from its start, it would end too early
	started := time.Now()
	c.start(t)
	c.awaitHealth(t, "503")
	if got := drained.end(); got != "" {
		t.Errorf("got %s", got)
	}
	if took := time.Since(started); took < wait || !strings.HasSuffix(drained.out.String(), "drained: no sessions are left\n") {
		t.Errorf("the load balancer had %s to notice, want %s: %q", took, wait, &drained.out)
	}
}

func TestADrainWaitsForAHAProxyThatHangs(t *testing.T) {
	t.Parallel()
	c := newChecked(t, "drain_wait = \"0s\"\ndrain_timeout = \"1m\"\n")
	c.serveCart(t)
	c.awaitHealth(t, "200")
	conn := c.connect(t, c.HTTP)
	drained := c.startDrain(t)
	drained.awaitLine(t, "waiting for 1 sessions to end")
	pid := c.HAProxy.Pid()
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	drained.awaitLine(t, "retrying: ")
	must(t, syscall.Kill(pid, syscall.SIGCONT))
	conn.Close()
	if got := drained.end(); got != "" || !strings.HasSuffix(drained.out.String(), "drained: no sessions are left\n") {
		t.Errorf("got %s: %q", got, &drained.out)
	}
}

// runningDrain is a drain that waits in the background.
type runningDrain struct {
	out  edgetest.Log
	done chan error
}

func (c *checked) startDrain(t *testing.T) *runningDrain {
	t.Helper()
	cfg, err := config.Load(c.TOML)
	must(t, err)
	d := &runningDrain{done: make(chan error, 1)}
	go func() { d.done <- drain.Begin(t.Context(), cfg, drain.Options{Wait: true}, &d.out) }()
	return d
}

// awaitLine waits until the output contains text, and fails if the drain ends before. A
// command to a HAProxy that hangs takes ten seconds.
func (d *runningDrain) awaitLine(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(d.out.String(), text); {
		select {
		case err := <-d.done:
			t.Fatalf("the drain ended before it printed %q: %v: %q", text, err, &d.out)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the drain does not print %q: %q", text, &d.out)
		}
	}
}

// end waits for the end of the drain and returns its error, "" for none.
func (d *runningDrain) end() string {
	if err := <-d.done; err != nil {
		return err.Error()
	}
	return ""
}

func TestAWaitEndsWhenTheNodeIsUndrained(t *testing.T) {
	t.Parallel()
	c := newChecked(t, "drain_wait = \"1h\"\n")
	c.start(t)
	c.awaitHealth(t, "200")
	result := make(chan error, 1)
	go func() {
		_, err := c.tryDrain(t, drain.Options{Wait: true})
		result <- err
	}()
	c.awaitHealth(t, "503")
	c.undrain(t, drain.End)
	if err := <-result; !errors.Is(err, drain.ErrEnded) {
		t.Errorf("got %v, want %v", err, drain.ErrEnded)
	}
	c.awaitHealth(t, "200") // the wait did not drain it again
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	cfg, err := config.Load(c.TOML)
	must(t, err)
	if err := drain.Begin(ctx, cfg, drain.Options{Wait: true}, io.Discard); err == nil {
		t.Error("an interrupted drain returns no error")
	}
}
