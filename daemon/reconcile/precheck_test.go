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

// prechecking returns a Reconciler whose reload is due soon, and a function that returns how
// often its haproxy binary, a script that rejects the word "odd", has run.
func prechecking(t *testing.T) (r *Reconciler, runs func() int) {
	t.Helper()
	dir := t.TempDir()
	binary, log := filepath.Join(dir, "haproxy"), filepath.Join(dir, "runs")
	script := fmt.Sprintf("#!/bin/sh\necho run >>%s\nfor last; do :; done\n! grep -q odd \"$last/podgate.cfg\"\n", log)
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	r = newReconciler(t, confdir.Dir(dir), slog.New(slog.DiscardHandler))
	r.haproxy.Binary = binary
	r.process = process{runtime.Process{Pid: 1}}
	r.reload.reasons, r.reload.at = haproxy.Reasons{{Kind: haproxy.BackendNew}}, time.Now()
	return r, func() int {
		text, _ := os.ReadFile(log) // missing before the first run
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

func TestAReloadDoesNotRepeatItsPrecheck(t *testing.T) {
	unchanged := func(*Reconciler) {}
	expire := func(r *Reconciler) { r.precheck.ended = r.precheck.ended.Add(-precheckValid) }
	for _, row := range []struct {
		name              string
		prechecked, check haproxy.State
		meanwhile         func(*Reconciler) // after the precheck; nil: check does not wait for its end
		runs              int
		fails             bool
	}{
		{"the same State", shops("cart"), shops("cart"), nil, 1, false},
		{"another State", shops("cart"), shops("cart", "news"), unchanged, 2, false},
		{"another State that is rejected", shops("cart"), shops("cart", "odd"), unchanged, 2, true},
		{"a State that is rejected", shops("odd"), shops("odd"), nil, 2, true},
		{"a precheck that has expired", shops("cart"), shops("cart"), expire, 2, false},
		{"a precheck that was stopped", shops("cart"), shops("cart"), (*Reconciler).stopPrecheck, 2, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, runs := prechecking(t)
			r.startPrecheck(t.Context(), row.prechecked)
			r.startPrecheck(t.Context(), row.prechecked) // as each pass does
			if row.meanwhile != nil {
				<-r.precheck.done
				row.meanwhile(r)
			}
			if err := r.check(t.Context(), row.check); (err != nil) != row.fails {
				t.Errorf("got %v", err)
			}
			r.Close()
			if got := runs(); got != row.runs {
				t.Errorf("haproxy ran %d times, want %d", got, row.runs)
			}
		})
	}
}

func TestAReloadThatIsNotDueSoonHasNoPrecheck(t *testing.T) {
	for name, change := range map[string]func(*Reconciler){
		"the reload is due later":           func(r *Reconciler) { r.reload.at = time.Now().Add(time.Hour) },
		"no reload is wanted":               func(r *Reconciler) { r.reload.at = time.Time{} },
		"the reload waits for stick tables": func(r *Reconciler) { r.reload.waits = true },
		"the configuration was rejected":    func(r *Reconciler) { r.reload.failed.err = errors.New("no") },
		"the reload was postponed": func(r *Reconciler) {
			r.startPrecheck(t.Context(), shops("cart"))
			r.reload.at = time.Now().Add(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := prechecking(t)
			change(r)
			r.startPrecheck(t.Context(), shops("cart"))
			if r.precheck != nil {
				t.Error("a precheck runs")
			}
		})
	}
}

// TestAReloadIsNotDueWithoutHAProxy: the loop would not sleep until HAProxy starts.
func TestAReloadIsNotDueWithoutHAProxy(t *testing.T) {
	r, _ := prechecking(t)
	if next := time.Until(r.next()); next > 0 {
		t.Errorf("the reload is due in %s", next)
	}
	r.slow.until = time.Now()
	r.process.forget()
	if next := time.Until(r.next()); next < observeInterval/2 {
		t.Errorf("without HAProxy the next pass is due in %s", next)
	}
}
