// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/compile"
	"podgate/daemon/reconcile"
	"podgate/kubeapi"
)

// mostTold bounds how many Services one pass may tell of.
const mostTold = 20

// chronicle remembers what happened, for whoever asks at night. Its owner is the
// loop.
type chronicle struct {
	changes []*admin.Change // the oldest first; handed out, so never changed in place
	last    *compile.Result // what was looked at last
	waiting []compile.ObjectChange
	since   time.Time // since when the oldest of what is not applied waits; zero for nothing
	latency admin.Latency

	conditions []kubeapi.Condition // of the API server, as told last
	trouble    string              // of HAProxy, as told last
	pid        int                 // of HAProxy, as told last; zero for none
}

// tell adds changes, and forgets the oldest that are too many.
func (c *chronicle) tell(changes ...*admin.Change) {
	if len(changes) == 0 {
		return
	}
	c.changes = slices.Concat(c.changes, changes)
	if extra := len(c.changes) - admin.MostChanges; extra > 0 {
		c.changes = slices.Clone(c.changes[extra:])
	}
}

// tellSome adds as many changes as one pass may, and counts the others by more.
func (c *chronicle) tellSome(changes []*admin.Change, more string) {
	if left := len(changes) - mostTold; left > 0 {
		changes = append(changes[:mostTold], told(fmt.Sprintf(more, left), ""))
	}
	c.tell(changes...)
}

// told is a state that began or ended.
func told(what, why string) *admin.Change {
	return &admin.Change{At: time.Now(), What: what, How: admin.NotApplied, Why: why}
}

// api tells which conditions of the API server began and ended.
func (c *chronicle) api(now []kubeapi.Condition) {
	for _, n := range now {
		if !slices.Contains(c.conditions, n) {
			c.tell(&admin.Change{At: n.Since, What: "API server: " + string(n.Kind), How: admin.NotApplied, Why: n.Text})
		}
	}
	for _, old := range c.conditions {
		if !slices.Contains(now, old) {
			c.tell(told("API server: no longer "+string(old.Kind), ""))
		}
	}
	c.conditions = now
}

// pass tells what a pass did, of the Snapshot that came at since: zero where it
// is that of the pass before.
func (c *chronicle) pass(result *compile.Result, since time.Time, p reconcile.Result, s reconcile.Status) {
	now := time.Now()
	if c.since.IsZero() {
		c.since = since
	}
	var changes []*admin.Change
	if s.Process.Pid != c.pid && s.Process.Pid != 0 {
		if c.pid != 0 && len(p.Reload) == 0 {
			changes = append(changes, told("HAProxy was started or reloaded by somebody else", fmt.Sprintf("process %d instead of %d", s.Process.Pid, c.pid)))
		}
		c.pid = s.Process.Pid
	}
	if p.Drift > 0 {
		changes = append(changes, told(fmt.Sprintf("drift found in %d places", p.Drift), "somebody else changed what HAProxy serves"))
	}
	if len(p.Reload) > 0 {
		waited := sinceOrZero(now, c.since)
		changes = append(changes, &admin.Change{At: now, What: "HAProxy reloaded", How: admin.ByReload, Why: p.Reload.Brief(), Took: admin.Seconds(p.Took), Waited: waited})
		c.latency.Reload.Observe(time.Duration(waited))
	}
	changes = append(changes, c.services(result, since, p, s, now)...)
	if !since.IsZero() && len(p.Reload) == 0 && p.Added+p.Left+p.Maps > 0 {
		c.latency.Runtime.Observe(now.Sub(since))
	}
	if trouble := s.Trouble; trouble != c.trouble {
		what := "HAProxy is out of sync"
		if trouble == "" {
			what = "HAProxy is in sync again"
		}
		changes = append(changes, told(what, trouble))
		c.trouble = trouble
	}
	if len(s.ReloadReasons) == 0 && p.Err == nil {
		c.since, c.waiting = time.Time{}, nil
	}
	c.tell(changes...)
}

func sinceOrZero(now, since time.Time) admin.Seconds {
	if since.IsZero() {
		return 0
	}
	return admin.Seconds(now.Sub(since))
}

// services tells of the Services that changed what HAProxy serves. What waits
// for a reload is told with that.
func (c *chronicle) services(result *compile.Result, since time.Time, p reconcile.Result, s reconcile.Status, now time.Time) (changes []*admin.Change) {
	if result == c.last && len(p.Reload) == 0 {
		return nil
	}
	objects := result.ChangedSince(c.last)
	first := c.last == nil
	c.last = result
	if first {
		return nil // all of them: the reload, or nothing, says it
	}
	of := serversByService(result, p)
	var left int
	add := func(o compile.ObjectChange, how admin.How, waited admin.Seconds) {
		if len(changes) == mostTold {
			left++
			return
		}
		changes = append(changes, &admin.Change{
			At: now, Service: o.Service.String(), What: what(o, of[o.Service]), Object: o.Object, Version: o.Version,
			How: how, Took: admin.Seconds(p.Took), Waited: waited,
		})
	}
	if len(p.Reload) > 0 {
		for _, o := range c.waiting {
			add(o, admin.ByReload, sinceOrZero(now, c.since))
		}
		c.waiting = nil
	}
	for _, o := range objects {
		d, touched := of[o.Service]
		switch {
		case len(p.Reload) > 0 && o.Kind != compile.EndpointsChanged:
			add(o, admin.ByReload, sinceOrZero(now, c.since))
		case touched && d != reconcile.Delta{}, p.Maps > 0 && o.Kind != compile.EndpointsChanged:
			add(o, admin.ByRuntime, sinceOrZero(now, since))
		case len(s.ReloadReasons) > 0 && o.Kind != compile.EndpointsChanged && len(c.waiting) < mostTold:
			c.waiting = append(c.waiting, o)
		}
	}
	if left > 0 {
		changes = append(changes, told(fmt.Sprintf("%d more Services changed at the same time", left), ""))
	}
	return changes
}

// serversByService are the deltas of a pass, added up.
func serversByService(result *compile.Result, p reconcile.Result) map[kubeapi.Key]reconcile.Delta {
	of := make(map[kubeapi.Key]reconcile.Delta, len(p.Servers))
	for backend, d := range p.Servers {
		port, ok := result.Service(backend)
		if !ok {
			continue
		}
		sum := of[port.Service]
		of[port.Service] = reconcile.Delta{In: sum.In + d.In, Out: sum.Out + d.Out}
	}
	return of
}

func what(o compile.ObjectChange, d reconcile.Delta) string {
	var words []string
	switch o.Kind {
	case compile.ServiceNew:
		words = append(words, "new Service")
	case compile.ServiceGone:
		words = append(words, "Service gone")
	case compile.ServiceChanged:
		words = append(words, "Service changed")
	}
	if d.In > 0 {
		words = append(words, count(d.In, "server in"))
	}
	if d.Out > 0 {
		words = append(words, count(d.Out, "server out"))
	}
	return strings.Join(words, ", ")
}

// count is "1 server in" or "2 servers in".
func count(n int, noun string) string {
	if n != 1 {
		noun = strings.Replace(noun, "server", "servers", 1)
	}
	return fmt.Sprintf("%d %s", n, noun)
}
