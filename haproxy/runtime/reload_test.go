// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

func TestReloadReturnsTheNewProcess(t *testing.T) {
	b := newBox(t)
	s := b.shop(t, nil)
	before := b.Pid()
	first := b.load(t, s)
	if first.Pid == before {
		t.Errorf("process %d serves before and after the reload", before)
	}
	second := b.load(t, s)
	if second.Pid == first.Pid || second.Generation != first.Generation {
		t.Errorf("%+v after a reload of the same files, %+v before: want another Pid and the same Generation", second, first)
	}
}

func TestAwaitStopReturnsForAnEndedProcess(t *testing.T) {
	b, s := newShop(t, nil)
	before := runtime.Process{Pid: b.Pid()}
	b.load(t, s)
	eventually(t, "the old process ends", func() bool { return b.OldWorkers(t.Context()) == 0 })
	if !b.AwaitStop(t.Context(), before) {
		t.Error("awaitStop: got false for a process that has ended")
	}
}

func TestReloadOfAnInvalidFileIsALoadError(t *testing.T) {
	pod, _ := newPod(t)
	b, s := newShop(t, nil, pod)
	pid := b.Pid()
	must(t, b.Write(map[string][]byte{"wrong.cfg": []byte("nonsense\n")}))
	_, err := b.Reload(t.Context(), "next")
	var load *runtime.LoadError
	if !errors.As(err, &load) {
		t.Fatalf("got %v, want a LoadError", err)
	}
	if !strings.HasPrefix(err.Error(), "reload HAProxy: HAProxy rejected the configuration") {
		t.Errorf("got %v", err)
	}
	if len(load.Log) > 0 && !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("%v does not contain HAProxy's message", err)
	}
	if b.Pid() != pid {
		t.Errorf("process %d serves, want %d as before", b.Pid(), pid)
	}
	if r := mustGet(t, s.Frontends[0].Binds[0], "/"); r.Status != 200 {
		t.Errorf("request after the reload: %d, want 200", r.Status)
	}
	must(t, b.Write(map[string][]byte{"wrong.cfg": nil}))
	b.load(t, s)
}

func TestReloadWithAnAddressInUseIsALoadError(t *testing.T) {
	b, s := newShop(t, nil)
	pod, _ := newPod(t)
	s.Frontends = append(s.Frontends, haproxy.Frontend{Name: "other", Mode: haproxy.HTTP, Binds: []netip.AddrPort{pod.Addr}})
	_, err := b.Reload(t.Context(), b.write(t, s))
	var load *runtime.LoadError
	if !errors.As(err, &load) {
		t.Fatalf("got %v, want a LoadError", err)
	}
}

func TestReloadFailsIfAnotherGenerationIsOnDisk(t *testing.T) {
	b := newBox(t)
	s := b.shop(t, nil)
	began := time.Now()
	generation := b.load(t, s).Generation
	ctx, cancel := context.WithTimeout(t.Context(), time.Second+4*time.Since(began)) // so that the master can answer
	defer cancel()
	_, err := b.Reload(ctx, "other")
	if err == nil || !strings.HasPrefix(err.Error(), "reload HAProxy: generation other does not serve after ") ||
		!strings.Contains(err.Error(), fmt.Sprintf("with generation %q still serves: ", generation)) {
		t.Errorf("got %v, want that %q still serves and not generation other", err, generation)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not context.DeadlineExceeded", err)
	}
}

func TestReloadFailsOnceHAProxyHasEnded(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.write(t, b.shop(t, nil))
	before := b.Pid()
	failed := make(chan error, 1)
	go func() {
		_, err := b.Reload(t.Context(), "other")
		failed <- err
	}()
	for pid := before; pid == before || pid == 0; pid = b.Pid() {
	}
	must(t, b.KillMaster())
	err := <-failed
	if want := "reload HAProxy: HAProxy ended while it loaded generation other (journalctl -u haproxy): "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestConcurrentReloadsWaitForEachOther(t *testing.T) {
	b := newBox(t)
	generation := b.write(t, b.shop(t, nil))
	var wg sync.WaitGroup
	pids := make([]int, 4)
	for i := range pids {
		wg.Go(func() {
			p, err := b.Reload(t.Context(), generation)
			if err != nil {
				t.Error(err)
			}
			pids[i] = p.Pid
		})
	}
	wg.Wait()
	seen := map[int]bool{}
	for _, pid := range pids {
		if seen[pid] {
			t.Errorf("two reloads returned process %d: %v", pid, pids)
		}
		seen[pid] = true
	}
}

func TestReloadKeepsRunningRequests(t *testing.T) {
	pod, slow := newPod(t)
	b, s := newShop(t, nil, pod)
	got := make(chan response, 1)
	go func() {
		r, err := get(t.Context(), s.Frontends[0].Binds[0], "", "/slow")
		if err != nil {
			t.Error(err)
		}
		got <- r
	}()
	<-slow
	b.load(t, s)
	slow <- struct{}{}
	if r := <-got; r.Status != 200 {
		t.Errorf("the running request: %d, want 200", r.Status)
	}
}

func TestReloadReadsTheMastersReply(t *testing.T) {
	for _, row := range []struct{ name, reply, want string }{
		{
			"failed, with alerts",
			"Success=0\n--\n[NOTICE]   (1) : Reloading HAProxy\n[ALERT]    (1) : config : nonsense\n[ALERT]    (1) : config : Fatal errors\n",
			"reload HAProxy: HAProxy rejected the configuration: [ALERT]    (1) : config : nonsense; [ALERT]    (1) : config : Fatal errors",
		},
		{
			"failed, without alerts",
			"Success=0\n--\nout of memory\n",
			"reload HAProxy: HAProxy rejected the configuration: out of memory",
		},
		{
			"failed, from HAProxy 2.6",
			"#<PID>          <type>\n1               master          2 [failed: 1]   0d00h03m59s     2.6.12\n",
			"reload HAProxy: HAProxy rejected the configuration (its log contains the reason: journalctl -u haproxy)",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			admin := newFakeSocket(t, "2.6.12\n\nPid: 7\n\n2.6.12\n\n")
			master := newFakeSocket(t, row.reply)
			_, err := runtime.New(admin.path, master.path, "/conf").Reload(t.Context(), "x")
			if err == nil || err.Error() != row.want {
				t.Errorf("got  %v\nwant %s", err, row.want)
			}
		})
	}
}

// TestTwoClientsReload reloads HAProxy by two independent clients. The master restarts
// for one of them; 3.2 and newer then keep the connection of the other one open and
// never answer.
func TestTwoClientsReload(t *testing.T) {
	b := newBox(t)
	generation := b.write(t, b.shop(t, nil))
	other := runtime.New(b.Admin, b.Master, b.Folder)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var both sync.WaitGroup
		for _, c := range []*runtime.Client{b.Client, other} {
			both.Go(func() {
				if p, err := c.Reload(ctx, generation); err != nil || p.Generation != generation {
					t.Errorf("%+v, %v", p, err)
				}
			})
		}
		both.Wait()
		cancel()
	}
}
