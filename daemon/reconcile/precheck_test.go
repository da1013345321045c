// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"podgate/daemon/confdir"
	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// checking is an edge whose reload is about to be due, and how often its HAProxy,
// which finds fault with the word "odd", was asked to check something.
func checking(t *testing.T) (r *Reconciler, asked func() int) {
	t.Helper()
	dir := t.TempDir()
	binary, runs := filepath.Join(dir, "haproxy"), filepath.Join(dir, "runs")
	script := fmt.Sprintf("#!/bin/sh\necho run >>%s\nfor last; do :; done\n! grep -q odd \"$last/podgate.cfg\"\n", runs)
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	r = newReconciler(t, confdir.Dir(dir), slog.New(slog.DiscardHandler))
	r.haproxy.Binary = binary
	r.process = process{runtime.Process{Pid: 1}}
	r.reload.reasons, r.reload.at = haproxy.Reasons{{Kind: haproxy.BackendNew}}, time.Now()
	return r, func() int {
		text, _ := os.ReadFile(runs) // none yet
		return strings.Count(string(text), "run\n")
	}
}

// shops is a State with backends of these names.
func shops(names ...string) haproxy.State {
	var backends []*haproxy.Backend
	for _, name := range names {
		backends = append(backends, &haproxy.Backend{Name: name, Policy: haproxy.Policy{Mode: haproxy.HTTP}, Options: haproxy.Options{Protocol: haproxy.Plain}})
	}
	return haproxy.State{Backends: haproxy.ListOf(backends...)}
}

func TestWhatIsCheckedAheadIsNotCheckedAgain(t *testing.T) {
	leave := func(*Reconciler) {}
	old := func(r *Reconciler) { r.precheck.ended = r.precheck.ended.Add(-precheckValid) }
	for _, row := range []struct {
		name          string
		ahead, loaded haproxy.State
		meddle        func(*Reconciler)
		runs          int
		fails         bool
	}{
		{"the same", shops("cart"), shops("cart"), nil, 1, false},
		{"another one", shops("cart"), shops("cart", "news"), leave, 2, false},
		{"another one that is bad", shops("cart"), shops("cart", "odd"), leave, 2, true},
		{"a bad one", shops("odd"), shops("odd"), nil, 2, true},
		{"one that was good long ago", shops("cart"), shops("cart"), old, 2, false},
		{"one that was dropped", shops("cart"), shops("cart"), (*Reconciler).stopPrecheck, 2, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, asked := checking(t)
			r.startPrecheck(t.Context(), row.ahead)
			r.startPrecheck(t.Context(), row.ahead) // as each pass does
			if row.meddle != nil {
				<-r.precheck.done
				row.meddle(r)
			}
			if err := r.check(t.Context(), row.loaded); (err != nil) != row.fails {
				t.Errorf("got %v", err)
			}
			r.Close()
			if got := asked(); got != row.runs {
				t.Errorf("HAProxy checked %d times, want %d", got, row.runs)
			}
		})
	}
}

func TestNothingIsCheckedAheadOfAReloadThatWaitsForOtherThings(t *testing.T) {
	for name, change := range map[string]func(*Reconciler){
		"not due soon":     func(r *Reconciler) { r.reload.at = time.Now().Add(time.Hour) },
		"none is wanted":   func(r *Reconciler) { r.reload.at = time.Time{} },
		"stick tables":     func(r *Reconciler) { r.reload.waits = true },
		"what was refused": func(r *Reconciler) { r.reload.failed.err = errors.New("no") },
		"it was put off": func(r *Reconciler) {
			r.startPrecheck(t.Context(), shops("cart"))
			r.reload.at = time.Now().Add(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := checking(t)
			change(r)
			r.startPrecheck(t.Context(), shops("cart"))
			if r.precheck != nil {
				t.Error("it is checked")
			}
		})
	}
}

// TestAReloadWithNobodyToReloadIsNotDue: the loop would not rest until HAProxy
// comes back.
func TestAReloadWithNobodyToReloadIsNotDue(t *testing.T) {
	r, _ := checking(t)
	if next := time.Until(r.next()); next > 0 {
		t.Errorf("the reload is due in %s", next)
	}
	r.process.forget()
	if next := time.Until(r.next()); next < observeInterval/2 {
		t.Errorf("without HAProxy the next pass is due in %s", next)
	}
}
