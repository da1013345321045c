// SPDX-License-Identifier: Apache-2.0

// Package history records the changes that "podgate status --history" shows: changes
// of HAProxy, and problems that began or ended. It does not log, and stores nothing on
// disk.
package history

import (
	"fmt"
	"slices"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/compile"
	"podgate/daemon/reconcile"
	"podgate/daemon/transition"
	"podgate/kubeapi"
)

// maxPerPass is the maximum number of Services, problems or certificates that one pass
// adds by name. The others are only counted, so that they do not displace the changes
// of earlier passes.
const maxPerPass = 20

// History is the last changes. It may not be used concurrently.
type History struct {
	changes []*admin.Change // the oldest first; published, so never changed in place
	latency admin.Latency

	last    *compile.Result        // of the last pass; nil before the first
	waiting []compile.ObjectChange // for a reload
	since   time.Time              // of the oldest Snapshot that HAProxy does not serve completely; zero for none
	pid     int                    // of the last HAProxy process; zero before the first

	conditions transition.Conditions[kubeapi.Condition] // of the API server
	trouble    transition.Condition                     // of HAProxy
}

// New returns a History with the changes of an earlier podgate, the oldest first.
func New(earlier []*admin.Change) *History {
	return &History{changes: earlier, latency: admin.NewLatency()}
}

// Changes returns the last changes, the oldest first. The slice is immutable.
func (h *History) Changes() []*admin.Change { return h.changes }

// Latency returns how long changes of the cluster waited until HAProxy served them.
func (h *History) Latency() admin.Latency { return h.latency }

// Add adds changes, and drops the oldest over admin.MostChanges.
func (h *History) Add(changes ...*admin.Change) {
	if len(changes) == 0 {
		return
	}
	h.changes = slices.Concat(h.changes, changes)
	if extra := len(h.changes) - admin.MostChanges; extra > 0 {
		h.changes = slices.Clone(h.changes[extra:])
	}
}

// AddSome adds the first changes of one pass. It counts the others in the format more,
// such as "%d more problems began or ended".
func (h *History) AddSome(changes []*admin.Change, more string) {
	if left := len(changes) - maxPerPass; left > 0 {
		changes = append(changes[:maxPerPass], Event(fmt.Sprintf(more, left), ""))
	}
	h.Add(changes...)
}

// Event returns a Change that concerns no Service and did not change HAProxy.
func Event(what, why string) *admin.Change {
	return &admin.Change{At: time.Now(), What: what, How: admin.NotApplied, Why: why}
}

// SetConditions adds the conditions of the API server that began or ended.
func (h *History) SetConditions(now []kubeapi.Condition) {
	began, ended := h.conditions.Set(now)
	for _, c := range began {
		h.Add(&admin.Change{At: c.Since, What: "API server: " + string(c.Kind), How: admin.NotApplied, Why: c.Text})
	}
	for _, c := range ended {
		h.Add(Event("API server: no longer "+string(c.Kind), ""))
	}
}

// Pass is one pass of the loop.
type Pass struct {
	Compiled *compile.Result
	Since    time.Time // when the Snapshot was received; zero if it is that of the pass before
	Did      reconcile.Result
	Status   reconcile.Status // after the pass
}

// reloaded reports whether the pass reloaded HAProxy.
func (p Pass) reloaded() bool { return len(p.Did.Reload) > 0 }

// AddPass adds the changes that a pass made.
func (h *History) AddPass(p Pass) {
	now := time.Now()
	if h.since.IsZero() {
		h.since = p.Since
	}
	if pid := p.Status.Process.Pid; pid != h.pid && pid != 0 {
		if h.pid != 0 && !p.reloaded() {
			h.Add(Event("HAProxy was started or reloaded, but not by podgate", fmt.Sprintf("process %d instead of %d", pid, h.pid)))
		}
		h.pid = pid
	}
	if p.Did.Drift > 0 {
		h.Add(Event(fmt.Sprintf("drift found in %d places", p.Did.Drift), "what HAProxy serves was changed, but not by podgate"))
	}
	if p.reloaded() {
		waited := elapsed(h.since, now)
		h.Add(&admin.Change{At: now, What: "HAProxy reloaded", How: admin.ByReload, Why: p.Did.Reload.Brief(), Took: admin.Seconds(p.Did.Took), Waited: waited})
		h.latency.Observe(reconcile.ByReload, time.Duration(waited))
	}
	h.addServices(p, now)
	if !p.Since.IsZero() && !p.reloaded() && p.Did.Added+p.Did.Left+p.Did.Maps > 0 {
		h.latency.Observe(reconcile.AtRuntime, now.Sub(p.Since))
	}
	switch began, ended := h.trouble.Set(p.Status.Trouble); {
	case began:
		h.Add(Event("HAProxy is out of sync", p.Status.Trouble))
	case ended:
		h.Add(Event("HAProxy is in sync again", ""))
	}
	if len(p.Status.ReloadReasons) == 0 && p.Did.Err == nil {
		h.since, h.waiting = time.Time{}, nil
	}
}

// elapsed returns the time since since, zero if that is zero.
func elapsed(since, now time.Time) admin.Seconds {
	if since.IsZero() {
		return 0
	}
	return admin.Seconds(now.Sub(since))
}
