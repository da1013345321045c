// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"slices"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/certstore"
	"podgate/daemon/compile"
	"podgate/daemon/history"
	"podgate/daemon/transition"
)

// reported are problems of one kind, each logged when it begins and when it ends.
type reported[T comparable] struct {
	conditions transition.Conditions[T]
	since      map[T]time.Time // when each problem began; nil before the first call of set
}

// set records the present problems, and returns those that began and ended.
func (r *reported[T]) set(present []T, now time.Time) (began, ended []T) {
	began, ended = r.conditions.Set(present)
	if r.since != nil && len(began)+len(ended) == 0 {
		return nil, nil
	}
	since := make(map[T]time.Time, len(present)) // the last map was published
	for _, p := range present {
		since[p] = now
		if at, known := r.since[p]; known {
			since[p] = at
		}
	}
	r.since = since
	return began, ended
}

// reportProblems logs which problems of Services began or ended: the problems that
// Compile found, the backends that HAProxy rejected, and failed health checks.
func (d *Daemon) reportProblems() {
	problems := slices.Concat(d.result.Problems, d.health.Problems(), d.choice.Services)
	for name, aside := range d.status.SetAside {
		if port, ok := d.result.Service(name); ok {
			text := "set aside and not served: " + aside.Reason
			if aside.Served {
				text = "set aside, the last loaded version stays in service: " + aside.Reason
			}
			problems = append(problems, compile.Problem{Kind: compile.SetAside, Service: port.Service, Port: port.Label(), Text: text})
		}
	}
	slices.SortFunc(problems, compile.Problem.Compare)
	first := d.problems.since == nil // the history does not repeat them at each start
	now := time.Now()
	began, ended := d.problems.set(problems, now)
	if !first && len(began)+len(ended) == 0 {
		return
	}
	var changes []*admin.Change
	for _, p := range began {
		d.Log.Warn("problem", "service", p.Service, "reason", p)
		changes = append(changes, &admin.Change{At: now, Service: p.Service.String(), What: "problem: " + string(p.Kind), How: admin.NotApplied, Why: p.String()})
	}
	for _, p := range ended {
		d.Log.Info("problem has ended", "service", p.Service, "reason", p)
		changes = append(changes, &admin.Change{At: now, Service: p.Service.String(), What: "problem has ended: " + string(p.Kind), How: admin.NotApplied, Why: p.String()})
	}
	d.publishProblems(problems)
	if !first {
		d.history.AddSome(changes, "%d more problems began or ended")
	}
}

// reportCertificates logs the problems of certificate files that began or ended.
func (d *Daemon) reportCertificates() {
	var changes []*admin.Change
	problems := slices.Clone(d.choice.Problems)
	for _, r := range d.status.Rejected {
		problems = append(problems, certstore.Problem{File: r.Source, Text: r.Reason})
	}
	began, ended := d.unserved.set(problems, time.Now())
	for _, p := range began {
		d.Log.Warn("certificate problem", "file", p.File, "reason", p.Text)
		changes = append(changes, history.Event("certificate problem", p.String()))
	}
	for _, p := range ended {
		d.Log.Info("certificate problem has ended", "file", p.File, "reason", p.Text)
		changes = append(changes, history.Event("certificate problem has ended", p.String()))
	}
	d.history.AddSome(changes, "%d more certificate problems began or ended")
}
