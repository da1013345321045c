// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"podgate/haproxy"
)

const (
	// slowWindow is how long a reload counts for the namespace that caused it.
	slowWindow = 10 * time.Minute
	// freeReloads is how many reloads a namespace may cause in slowWindow without a pause.
	freeReloads = 10
	// maxPauses is the longest pause, in reload_intervals.
	maxPauses = 16
)

// SlowNamespace is a namespace that causes reload after reload. Its changes cause no
// further one before Until.
type SlowNamespace struct {
	Name    string
	Reloads int       // that it caused in the last ten minutes
	Until   time.Time // when it may cause the next one
	Waiting int       // how many of its reasons wait
}

// slowdown delays the reloads that one namespace causes, so that those of the others
// are not delayed with them. The zero slowdown delays none.
type slowdown struct {
	reloads map[string][]time.Time // of each namespace that caused some in slowWindow; the oldest first
	causes  []string               // the namespaces of the reasons that may cause the next reload

	waiting haproxy.Reasons // that may not cause a reload yet
	counts  map[string]int  // how many of them each namespace has
	until   time.Time       // when the first of them may; zero for none

	// owners are the namespaces of the backends of TCP frontends that were the reason for
	// a reload: when a Service is deleted, only the frontend to remove is left of it.
	owners map[string]string
}

// split returns the reasons that may cause a reload now; the others wait. namespace
// returns the namespace of a backend, "" if it has none. A reason without a namespace
// does not wait.
func (s *slowdown) split(now time.Time, reasons haproxy.Reasons, namespace func(backend string) string, interval time.Duration) (free haproxy.Reasons) {
	s.forget()
	for _, reason := range reasons {
		name := s.owner(reason, namespace)
		if at := s.pauseEnds(now, name, interval); now.Before(at) {
			s.wait(reason, name, at)
			continue
		}
		free = append(free, reason)
		if name != "" && !slices.Contains(s.causes, name) {
			s.causes = append(s.causes, name)
		}
	}
	return free
}

func (s *slowdown) forget() {
	s.causes, s.waiting, s.counts, s.until = nil, nil, nil, time.Time{}
}

func (s *slowdown) wait(reason haproxy.ReloadReason, namespace string, until time.Time) {
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	s.counts[namespace]++
	s.waiting = append(s.waiting, reason)
	if s.until.IsZero() || until.Before(s.until) {
		s.until = until
	}
}

// owner returns the namespace that a reason is about, "" for none.
func (s *slowdown) owner(reason haproxy.ReloadReason, namespace func(string) string) string {
	backend := reason.AboutBackend()
	if backend == "" || namespace == nil {
		return ""
	}
	name := cmp.Or(namespace(backend), s.owners[backend])
	if reason.Kind == haproxy.FrontendChanged {
		if s.owners == nil {
			s.owners = map[string]string{}
		}
		s.owners[backend] = name
	}
	return name
}

// pauseEnds returns when a namespace may cause its next reload. The pause begins with its
// last one. After freeReloads it is two intervals, and doubles with each further reload,
// up to maxPauses.
func (s *slowdown) pauseEnds(now time.Time, name string, interval time.Duration) time.Time {
	reloads := s.recent(now, name)
	over := len(reloads) - freeReloads
	if over < 0 {
		return time.Time{}
	}
	pauses := 2
	for ; over > 0 && pauses < maxPauses; over-- {
		pauses *= 2
	}
	return reloads[len(reloads)-1].Add(time.Duration(pauses) * interval)
}

// recent returns when a namespace caused reloads in slowWindow, and drops the earlier ones.
func (s *slowdown) recent(now time.Time, name string) []time.Time {
	all := s.reloads[name]
	recent := all
	for len(recent) > 0 && now.Sub(recent[0]) > slowWindow {
		recent = recent[1:]
	}
	switch len(recent) {
	case len(all):
	case 0:
		delete(s.reloads, name)
	default:
		s.reloads[name] = recent
	}
	return recent
}

// reloaded counts a reload for the namespaces that caused it. A namespace whose changes
// waited did not cause it.
func (s *slowdown) reloaded(now time.Time, loaded haproxy.State) {
	if s.reloads == nil {
		s.reloads = map[string][]time.Time{}
	}
	for _, name := range s.causes {
		s.reloads[name] = append(s.reloads[name], now)
	}
	s.forget()
	maps.DeleteFunc(s.owners, func(backend, _ string) bool {
		return !slices.ContainsFunc(loaded.Frontends, func(f haproxy.Frontend) bool { return f.Backend == backend })
	})
}

// slow returns the namespaces that cause reload after reload, by name.
func (s *slowdown) slow(now time.Time, interval time.Duration) (all []SlowNamespace) {
	for _, name := range slices.Sorted(maps.Keys(s.reloads)) {
		if n := len(s.recent(now, name)); n >= freeReloads && interval > 0 {
			all = append(all, SlowNamespace{name, n, s.pauseEnds(now, name, interval), s.counts[name]})
		}
	}
	return all
}

// reportSlow logs the namespaces that begin and end to cause reload after reload.
func (r *Reconciler) reportSlow() {
	var names []string
	for _, n := range r.slow.slow(r.now(), r.config.ReloadInterval) {
		names = append(names, n.Name)
	}
	began, ended := r.slowed.Set(names)
	for _, name := range began {
		r.log.Warn("namespace causes reload after reload, further reloads for it are delayed", "namespace", name)
	}
	for _, name := range ended {
		r.log.Info("reloads for the namespace are not delayed any more", "namespace", name)
	}
}
