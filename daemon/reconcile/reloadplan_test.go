// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"errors"
	"testing"
	"time"

	"podgate/haproxy"
)

// reasons returns a reason for each new backend.
func reasons(names ...string) (all haproxy.Reasons) {
	for _, name := range names {
		all = append(all, haproxy.ReloadReason{Kind: haproxy.BackendNew, Object: name, Detail: "is new"})
	}
	return all
}

func TestWhenAReloadIsDue(t *testing.T) {
	const ms, interval = time.Millisecond, 5 * time.Second
	type pass struct {
		at      time.Duration // since the start
		reasons haproxy.Reasons
		due     bool
		next    time.Duration // when the reload is due then; zero for never
		floor   time.Duration // zero for interval
	}
	for _, row := range []struct {
		name   string
		last   time.Duration // of the last reload, before the start
		passes []pass
	}{
		{"no reason is no reload", time.Hour, []pass{{0, nil, false, 0, 0}}},
		{"reasons that stay the same are gathered for a short time", time.Hour, []pass{
			{0, reasons("a"), false, 100 * ms, 0}, {50 * ms, reasons("a"), false, 100 * ms, 0}, {100 * ms, reasons("a"), true, 100 * ms, 0},
		}},
		{"another reason extends that time", time.Hour, []pass{
			{0, reasons("a"), false, 100 * ms, 0}, {90 * ms, reasons("a", "b"), false, 190 * ms, 0}, {190 * ms, reasons("a", "b"), true, 190 * ms, 0},
		}},
		{"other reasons extend it to gatherMost", time.Hour, []pass{
			{0, reasons("a"), false, 100 * ms, 0}, {90 * ms, reasons("b"), false, 190 * ms, 0}, {180 * ms, reasons("c"), false, 280 * ms, 0}, {270 * ms, reasons("d"), false, 370 * ms, 0},
			{360 * ms, reasons("e"), false, 460 * ms, 0}, {450 * ms, reasons("f"), false, 500 * ms, 0}, {500 * ms, reasons("g"), true, 500 * ms, 0},
		}},
		{"a reload waits for the interval after the last one", time.Second, []pass{
			{0, reasons("a"), false, 4 * time.Second, 0}, {time.Second, reasons("a", "b"), false, 4 * time.Second, 0}, {4 * time.Second, reasons("a", "b"), true, 4 * time.Second, 0},
		}},
		{"a reload that waits is due earlier when the floor falls", time.Second, []pass{
			{0, reasons("a"), false, 4 * time.Second, 0}, {time.Second, reasons("a"), false, 2 * time.Second, 3 * time.Second}, {2 * time.Second, reasons("a"), true, 2 * time.Second, 3 * time.Second},
		}},
		{"a floor below the time since the last reload changes nothing", time.Second, []pass{{0, reasons("a"), false, 100 * ms, 500 * ms}, {100 * ms, reasons("a"), true, 100 * ms, 500 * ms}}},
		{"the reasons end before the reload", time.Hour, []pass{{0, reasons("a"), false, 100 * ms, 0}, {50 * ms, nil, false, 0, 0}, {100 * ms, nil, false, 0, 0}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			start := time.Now()
			p := reloadPlan{last: start.Add(-row.last)}
			for _, pass := range row.passes {
				due := p.due(start.Add(pass.at), pass.reasons, cmp.Or(pass.floor, interval))
				next := time.Duration(0)
				if !p.at.IsZero() {
					next = p.at.Sub(start)
				}
				if due != pass.due || next != pass.next {
					t.Errorf("at %s: due %v, at %s, want %v, at %s", pass.at, due, next, pass.due, pass.next)
				}
			}
		})
	}
}

func TestAConfigurationThatCouldNotBeLoadedIsTriedAgainAfterAMinute(t *testing.T) {
	var p reloadPlan
	now := time.Now()
	p.due(now, reasons("a"), 0)
	p.fail(now, "abc", errors.New("no"))
	if p.rejects(now.Add(retryPause-1), "abc") == nil || p.rejects(now, "def") != nil || p.rejects(now.Add(retryPause), "abc") != nil {
		t.Error("the configuration is not rejected for a minute, or another one is rejected")
	}
	if !p.rejected() || !p.precheckAt().IsZero() {
		t.Error("the failure is forgotten, or the reload is checked in advance")
	}
	p.succeed()
	if p.rejected() {
		t.Error("the configuration is rejected although HAProxy was reloaded")
	}
}

// TestAReloadWithoutBackendsDelaysNoOther begins a reload as before the cluster is known.
func TestAReloadWithoutBackendsDelaysNoOther(t *testing.T) {
	var p reloadPlan
	now := time.Now()
	if p.begin(now, haproxy.State{}); !p.last.IsZero() {
		t.Error("a reload without backends counts")
	}
	if p.begin(now, shops("cart")); p.last != now {
		t.Error("a reload with backends does not count")
	}
}

func TestBackoff(t *testing.T) {
	const ms = time.Millisecond
	var b backoff
	now := time.Now()
	for _, want := range []time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5 * time.Second, 5 * time.Second} {
		if b.later(now); b.at.Sub(now) != want {
			t.Errorf("retried after %s, want %s", b.at.Sub(now), want)
		}
	}
	b.reset()
	if !b.at.IsZero() {
		t.Error("a retry is due after a success")
	}
	if b.later(now); b.at.Sub(now) != firstRetry {
		t.Errorf("retried after %s once it had succeeded", b.at.Sub(now))
	}
}
