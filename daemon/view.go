// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/certstore"
	"podgate/daemon/compile"
	"podgate/haproxy"
)

// view is what of an admin.View outlives a pass.
type view struct {
	chronicle   chronicle
	started     time.Time
	inSync      bool
	since       time.Time // since when inSync is so
	problems    []admin.Problem
	configError string
	configSince time.Time

	chosen       []haproxy.Certificate // that certificates are of
	shown        []haproxy.Certificate // chosen, without keys
	certificates []admin.Certificate
	expiring     map[string]bool // sources that were told
}

func (v *view) begin(d *Daemon) {
	v.started = time.Now()
	v.since, v.configSince = v.started, v.started
	if d.Admin != nil {
		v.chronicle.changes = d.Admin.History()
	}
	v.chronicle.tell(told("podgate "+d.Version+" started", ""))
}

// configured takes note of podgate.toml as it was read again, and of what is wrong
// with it, in one line.
func (v *view) configured(wrong string) {
	what := "podgate.toml is in force"
	if wrong != "" {
		what = "podgate.toml is invalid, the previous version stays in force"
	}
	if wrong != v.configError {
		v.configSince = time.Now()
	}
	v.configError = wrong
	v.chronicle.tell(told(what, wrong))
}

func (v *view) problemsChanged(problems []compile.Problem, since map[compile.Problem]time.Time) {
	v.problems = make([]admin.Problem, len(problems)) // the old ones were handed out
	for i, p := range problems {
		v.problems[i] = admin.Problem{Problem: p, Since: since[p]}
	}
}

// certified takes the certificates that are in use, and tells which are about to
// expire.
func (v *view) certified(chosen []haproxy.Certificate, log *slog.Logger) {
	if len(chosen) != len(v.chosen) || len(chosen) > 0 && &chosen[0] != &v.chosen[0] {
		v.chosen = chosen
		v.certificates, v.shown = make([]admin.Certificate, len(chosen)), slices.Clone(chosen)
		for i, c := range chosen {
			v.shown[i].PEM = nil
			v.certificates[i] = admin.Certificate{Source: c.Source, Names: c.Names, Expires: c.NotAfter}
		}
		slices.SortStableFunc(v.certificates, func(a, b admin.Certificate) int { return a.Expires.Compare(b.Expires) })
	}
	now := time.Now()
	expiring := map[string]bool{}
	var changes []*admin.Change
	for _, c := range v.certificates {
		if c.State(now) == admin.Valid {
			break // those behind it neither
		}
		expiring[c.Source] = true
		if !v.expiring[c.Source] {
			log.Warn("certificate expires soon", "file", c.Source, "expires", c.Expires.UTC().Format(time.RFC3339))
			changes = append(changes, told("certificate expires soon", c.Source+" on "+c.Expires.UTC().Format(time.RFC3339)))
		}
	}
	v.chronicle.tellSome(changes, "%d more certificates expire soon")
	for source := range v.expiring {
		if !expiring[source] {
			log.Info("certificate is renewed, or no longer used", "file", source)
		}
	}
	v.expiring = expiring
}

// certificateProblems are those that the log was told.
func certificateProblems(told map[certstore.Problem]time.Time) []admin.CertificateProblem {
	var all []admin.CertificateProblem
	for p, since := range told {
		all = append(all, admin.CertificateProblem{File: p.File, Text: p.Text, Since: since})
	}
	slices.SortFunc(all, func(a, b admin.CertificateProblem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Text, b.Text))
	})
	return all
}

// saveHistory writes the last of what happened. What goes wrong with it was told
// before.
func (d *Daemon) saveHistory() {
	if d.Admin == nil {
		return
	}
	if err := d.Admin.SaveHistory(); err != nil {
		d.Log.Debug("history is not kept", "err", err)
	}
}

// publish hands out how everything is now.
func (d *Daemon) publish() {
	v := &d.view
	v.chronicle.api(d.cluster.Client().Status().Conditions)
	s := d.status
	s.InSync = s.InSync && d.result != nil
	if s.InSync != v.inSync {
		v.inSync, v.since = s.InSync, time.Now()
	}
	v.certified(s.Certificates, d.Log)
	if d.Admin == nil {
		return
	}
	d.Admin.Publish(&admin.View{
		Version: d.Version, Commit: d.Commit, Started: v.started, At: time.Now(),
		Config: d.Config, ConfigFile: d.ConfigFile, ConfigError: v.configError, ConfigSince: v.configSince,
		API: d.cluster.Client(), Snapshot: d.snapshot, Result: d.result, Problems: v.problems,
		Edge: admin.Edge{
			Status: s, Since: v.since, Draining: d.draining, Runtime: d.runtime,
		},
		Health: d.health, Changes: v.chronicle.changes, Latency: v.chronicle.latency,
		Certificates: v.certificates, Shown: v.shown, CertificateProblems: certificateProblems(d.unserved.since),
	})
}
