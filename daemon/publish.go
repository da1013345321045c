// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"slices"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/certstore"
	"podgate/daemon/compile"
	"podgate/daemon/history"
)

// viewState is the part of a View that outlives a pass.
type viewState struct {
	started     time.Time
	inSync      bool
	inSyncSince time.Time // when inSync became so
	configError string    // why podgate.toml is not in force, in one line; "" if it is
	configSince time.Time // when configError changed
	problems    []admin.Problem
}

func (d *Daemon) startPublishing() {
	now := time.Now()
	d.view.started, d.view.inSyncSince, d.view.configSince = now, now, now
	var earlier []*admin.Change
	if d.Admin != nil {
		earlier = d.Admin.History()
	}
	d.history = history.New(earlier)
	d.history.Add(history.Event("podgate "+d.Version+" started", ""))
}

// configRead records that podgate.toml was re-read, and why it is not in force; wrong is
// "" if it is.
func (d *Daemon) configRead(wrong string) {
	what := "podgate.toml is in force"
	if wrong != "" {
		what = "podgate.toml is invalid, the previous version stays in force"
	}
	if wrong != d.view.configError {
		d.view.configSince = time.Now()
	}
	d.view.configError = wrong
	d.history.Add(history.Event(what, wrong))
}

// publish gives the admin server a View of the present state.
func (d *Daemon) publish() {
	d.history.SetConditions(d.cluster.Client().Status().Conditions)
	d.inUse.set(d.status.Certificates, d.history, d.Log)
	s := d.status
	s.InSync = s.InSync && d.result != nil
	if s.InSync != d.view.inSync {
		d.view.inSync, d.view.inSyncSince = s.InSync, time.Now()
	}
	if d.Admin == nil {
		return
	}
	d.Admin.Publish(&admin.View{
		Version: d.Version, Commit: d.Commit, Started: d.view.started, At: time.Now(),
		Config: d.Config, ConfigFile: d.ConfigFile, ConfigError: d.view.configError, ConfigSince: d.view.configSince,
		API: d.cluster.Client(), Snapshot: d.snapshot, Result: d.result, Problems: d.view.problems,
		Edge:   admin.Edge{Status: s, Since: d.view.inSyncSince, Draining: d.draining, Runtime: d.runtime},
		Health: d.health.Last(), Changes: d.history.Changes(), Latency: d.history.Latency(),
		Certificates: d.inUse.certificates, Shown: d.inUse.shown, CertificateProblems: certificateProblems(d.unserved.since),
	})
}

// publishProblems sets the problems of the next View; they are sorted.
func (d *Daemon) publishProblems(problems []compile.Problem) {
	d.view.problems = make([]admin.Problem, len(problems)) // the last View keeps the old slice
	for i, p := range problems {
		d.view.problems[i] = admin.Problem{Problem: p, Since: d.problems.since[p]}
	}
}

func certificateProblems(since map[certstore.Problem]time.Time) []admin.CertificateProblem {
	var all []admin.CertificateProblem
	for p, at := range since {
		all = append(all, admin.CertificateProblem{File: p.File, Text: p.Text, Since: at})
	}
	slices.SortFunc(all, func(a, b admin.CertificateProblem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Text, b.Text))
	})
	return all
}

// saveHistory writes the history. The admin server logs the errors of earlier writes.
func (d *Daemon) saveHistory() {
	if d.Admin == nil {
		return
	}
	if err := d.Admin.SaveHistory(); err != nil {
		d.Log.Debug("history is not saved", "err", err)
	}
}
