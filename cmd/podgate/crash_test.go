// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

// mainEnv makes the test binary run podgate, so that a test has a process to kill.
const mainEnv = "PODGATE_TEST_MAIN"

func TestMain(m *testing.M) {
	if paths := os.Getenv(trespassEnv); paths != "" {
		trespass(strings.Split(paths, ":"))
		return
	}
	if os.Getenv(mainEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// box is an edge with one Service, cart, and podgate in a process of its own.
type box struct {
	*edgetest.Edge
	podgate *edgetest.Process // nil before start
}

// newBox starts everything except podgate until the end of the test.
func newBox(t *testing.T) *box {
	t.Helper()
	haproxytest.Need(t)
	c, err := edgetest.StartCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	e, err := edgetest.OpenEdge(t.Context(), c, edgetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &box{Edge: e}
	t.Cleanup(func() {
		if b.podgate != nil {
			b.podgate.Kill()
			if t.Failed() {
				t.Logf("podgate's log ends with:\n%s\nHAProxy's log ends with:\n%s", b.podgate.Tail(), e.HAProxy.Log())
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	e.Set("haproxy.reload_interval", "0s")
	if err := e.Configure(""); err != nil {
		t.Fatal(err)
	}
	b.service(t, "cart")
	return b
}

// start runs podgate, which is this test binary.
func (b *box) start(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err == nil {
		b.podgate, err = b.StartProcess(self, mainEnv+"=1")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (b *box) service(t *testing.T, name string) {
	t.Helper()
	if err := b.Cluster.PutService(edgetest.Service(name, nil)); err != nil {
		t.Fatal(err)
	}
}

// newPod starts the pod cart-NUMBER and makes it the only pod of Service cart.
func (b *box) newPod(t *testing.T, number int) {
	t.Helper()
	p, err := edgetest.StartPod(edgetest.PodOptions{Name: fmt.Sprintf("cart-%d", number)})
	if err == nil {
		t.Cleanup(p.Close)
		err = b.Cluster.SetEndpoints("cart", edgetest.Ready(p)...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// awaitPod waits until the pod cart-NUMBER answers.
func (b *box) awaitPod(t *testing.T, number int) {
	t.Helper()
	if err := b.AwaitAnswer(t.Context(), "any", "/cart/", fmt.Sprintf("200 cart-%d /", number)); err != nil {
		t.Fatal(err)
	}
}

// awaitNoDifference waits until "podgate diff" prints no difference, except servers that
// are not deleted yet because they still have idle connections.
func (b *box) awaitNoDifference(t *testing.T) {
	t.Helper()
	err := edgetest.Await(t.Context(), "podgate diff", func() error {
		stdout, stderr, code := podgate(t, "diff", "--config", b.TOML)
		for line := range strings.Lines(stdout) {
			if !strings.HasPrefix(line, "process runtime: delete ") {
				return errors.New(line)
			}
		}
		if code == exitTrouble {
			return errors.New(stderr)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestKilledPodgateIsResumed kills podgate while endpoints change and Services are added:
// during runtime commands, file writes and reloads. The next podgate continues from
// there.
func TestKilledPodgateIsResumed(t *testing.T) {
	b := newBox(t)
	b.newPod(t, 0)
	if err := os.WriteFile(filepath.Join(b.HAProxy.Folder, ".podgate.cfg.123"), []byte("glo"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.awaitPod(t, 0)
	load := edgetest.StartLoad(edgetest.LoadOptions{Clients: 2})
	t.Cleanup(func() { load.Stop() })
	_, err := load.Add(t.Context(), edgetest.Target{Service: "cart", Request: edgetest.Request{Addr: b.HTTP, Path: "/cart/"}, Strip: "/cart"})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 20; n++ {
		b.newPod(t, n)
		if n%2 == 0 {
			b.service(t, fmt.Sprintf("new-%d", n))
		}
		if n%5 == 0 {
			b.Cluster.RemoveService(fmt.Sprintf("new-%d", n-1))
		}
		edgetest.Pause(t.Context(), time.Duration(n)*13*time.Millisecond) // from before its first look at HAProxy to after the reload
		b.podgate.Kill()
		b.start(t)
		b.awaitPod(t, n)
	}
	b.newPod(t, 21) // for the last podgate, which may still be starting
	b.awaitPod(t, 21)
	b.awaitNoDifference(t)
	if err := b.podgate.Stop(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	b.awaitPod(t, 21)
	report := load.Stop()
	t.Log(report)
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(b.HAProxy.Folder, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("unfinished files are left: %q, %v", left, err)
	}
}
