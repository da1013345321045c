// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"podgate/daemon/confdir"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/runtime"
)

func TestAChangedProcessIsNoFailure(t *testing.T) {
	var log strings.Builder
	r := newReconciler(t, "", slog.New(slog.NewTextHandler(&log, nil)))
	r.report(fmt.Errorf("apply to HAProxy: %w", runtime.ErrProcessChanged))
	want := `level=INFO msg="HAProxy was reloaded by someone else during a change; retrying"`
	if !strings.Contains(log.String(), want) || r.trouble.Reason() != "" {
		t.Errorf("logged %q, want %s; trouble %q, want none", log.String(), want, r.trouble.Reason())
	}
}

// newReconciler returns a Reconciler without a HAProxy.
func newReconciler(t *testing.T, dir confdir.Dir, log *slog.Logger) *Reconciler {
	client := runtime.New(filepath.Join(t.TempDir(), "a.sock"), filepath.Join(t.TempDir(), "m.sock"), string(dir))
	return New(Host{Runtime: client, Dir: dir, Now: time.Now, Alive: func() {}, Log: log}, Config{TicketKeyInterval: time.Hour})
}

// TestARejectionIsRetriedLessAndLessOften: HAProxy answers, so that nothing else would
// slow down the retries.
func TestARejectionIsRetriedLessAndLessOften(t *testing.T) {
	r := newReconciler(t, "", slog.New(slog.DiscardHandler))
	now := time.Now()
	var waits []time.Duration
	for range 9 {
		r.changed(runtime.Applied{Rejected: []runtime.Rejection{{Reply: "no"}}}, false)
		r.retry.later(now)
		waits = append(waits, r.retry.at.Sub(now))
	}
	if waits[0] != firstRetry || waits[1] != 2*firstRetry || waits[8] != lastRetry {
		t.Errorf("waits %v", waits)
	}
	r.changed(runtime.Applied{}, false)
	if !r.retry.at.IsZero() {
		t.Error("a change that HAProxy accepts is followed by a retry")
	}
}

// TestTheLastChangeIsWritten stops podgate after a change, and before it is written to the
// files: while the next pass asks HAProxy.
func TestTheLastChangeIsWritten(t *testing.T) {
	dir := confdir.Dir(t.TempDir())
	r := newReconciler(t, dir, slog.New(slog.DiscardHandler))
	r.process, r.ours = process{runtime.Process{Pid: 1, Generation: "1"}}, true
	r.have = haproxy.Running{Loaded: shops("shop_new_80")}
	r.writeSoon()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r.Reconcile(ctx, Want{State: shops("shop_other_80")})
	r.Close()
	written, err := os.ReadFile(filepath.Join(string(dir), cfgfile.ConfigFile))
	if err != nil || !strings.Contains(string(written), "backend shop_new_80 ") || strings.Contains(string(written), "shop_other_80") {
		t.Errorf("%v, podgate.cfg:\n%s", err, written)
	}
}

// TestADrainThatEndsDuringAPass has a pass that began while the node drained, or while it
// did not.
func TestADrainThatEndsDuringAPass(t *testing.T) {
	dir := confdir.Dir(t.TempDir())
	r := newReconciler(t, dir, slog.New(slog.DiscardHandler))
	plan := []haproxy.Map{{Name: haproxy.RoutesMap}, {Name: haproxy.NodeMap}}
	sends := func(draining bool) bool {
		maps := r.withoutStaleNode(plan, haproxy.Node{Draining: draining})
		if maps[0].Name != haproxy.RoutesMap {
			t.Errorf("maps %v, want the routes", maps)
		}
		return len(maps) == 2
	}
	if !sends(false) || sends(true) {
		t.Error("without a drain, a pass that began with one changes the node")
	}
	if err := dir.WriteDrain(confdir.Drain{Since: r.now()}); err != nil {
		t.Fatal(err)
	}
	if sends(false) || !sends(true) {
		t.Error("with a drain, a pass that began without one changes the node")
	}
	if err := dir.WriteDrain(confdir.Drain{Since: r.now(), Until: r.now()}); err != nil {
		t.Fatal(err)
	}
	if !sends(false) || sends(true) {
		t.Error("with an expired drain, a pass that began with it changes the node")
	}
}
