// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/runtime"
)

// restAfter is how long HAProxy does not answer until its servers may have other states
// when it starts again.
const restAfter = 10 * time.Second

// serverStates is the file of server states between the reloads of podgate. With it,
// servers that are down, drain or are removed stay so if another program reloads
// HAProxy. Only servers that get no new clients are in it, because a new process
// considers every other server as up.
type serverStates struct {
	up       map[string]int              // servers that are up, by backend, at the last poll; nil before
	polled   time.Time                   // when up was polled
	all      bool                        // every backend has to be examined
	touched  map[string]int              // backends that have to be examined after a write of the files, by its number
	standing map[string]runtime.Standing // by backend
	observed map[string]runtime.Standing // of all backends, read back in this pass; nil if they were not
	text     []byte                      // what the file contains; nil if that is not known
	lost     time.Time                   // since when HAProxy does not answer; zero while it does
}

// setHealth records how many servers of each backend were up at a poll, so that this
// pass finds out which ones are down.
func (r *Reconciler) setHealth(up map[string]int, polled time.Time) {
	if up != nil && !polled.Equal(r.states.polled) {
		r.states.up, r.states.polled, r.states.all = up, polled, true
	}
}

// touchStates makes keepServerStates examine the backends of changes after the next
// write of podgate.cfg. Before, a process that loads podgate.cfg lacks the servers that
// were added, and needs those that drain.
func (r *Reconciler) touchStates(changes ...haproxy.ServerChange) {
	for _, c := range changes {
		r.touch(c.Backend.Name)
	}
}

// touch is touchStates for a backend.
func (r *Reconciler) touch(name string) {
	if r.states.touched == nil {
		r.states.touched = map[string]int{}
	}
	r.states.touched[name] = r.writer.Started() + 1
}

// untouched reports whether podgate.cfg has the present servers of a backend.
func (r *Reconciler) untouched(name string) bool {
	write, touched := r.states.touched[name]
	return !touched || write <= r.writer.Finished()
}

// nextServerStates is when to look whether podgate.cfg was written; zero for never.
func (r *Reconciler) nextServerStates() time.Time {
	if len(r.states.touched) > 0 && r.writer.Busy() {
		return r.now().Add(writePause)
	}
	return time.Time{}
}

// keepServerStates writes the states of servers that changed to the file. If HAProxy
// does not answer, the next pass repeats it.
func (r *Reconciler) keepServerStates(ctx context.Context, session *runtime.Session) error {
	s := &r.states
	s.lost = time.Time{}
	if !r.ours || !s.all && len(s.touched) == 0 {
		return nil
	}
	r.writer.Busy() // for Finished
	examined := r.statesToExamine()
	if len(examined) == 0 && !s.all {
		return nil
	}
	kept := maps.Clone(s.standing)
	if kept == nil {
		kept = map[string]runtime.Standing{}
	}
	maps.DeleteFunc(kept, func(name string, _ runtime.Standing) bool {
		_, loaded := r.have.Loaded.Backend(name)
		return s.all && !loaded
	})
	var names []string
	own := map[string]string{} // names of backends, by their names in HAProxy
	for _, b := range examined {
		delete(kept, b.Name)
		if r.mayStand(b) {
			names = append(names, b.ProxyName())
			own[b.ProxyName()] = b.Name
		}
	}
	standing, err := r.standingOf(ctx, session, names)
	if err != nil {
		r.log.Debug("server states are not read", "err", err)
		s.all = true
		return nil
	}
	for proxy, rows := range standing {
		kept[own[proxy]] = rows
	}
	s.standing, s.all = kept, false
	maps.DeleteFunc(s.touched, func(name string, _ int) bool { return r.untouched(name) })
	return r.writeServerStates(func(s runtime.Standing) string { return s.Rows })
}

// standingOf returns the Standing of backends. It does not ask HAProxy for what was just read
// back.
func (r *Reconciler) standingOf(ctx context.Context, session *runtime.Session, names []string) (map[string]runtime.Standing, error) {
	if r.states.observed == nil {
		return session.Standing(ctx, names)
	}
	standing := map[string]runtime.Standing{}
	for _, name := range names {
		if s, ok := r.states.observed[name]; ok {
			standing[name] = s
		}
	}
	r.states.observed = nil
	return standing, nil
}

// statesToExamine returns the backends whose servers may have another state than in the
// file.
func (r *Reconciler) statesToExamine() (backends []*haproxy.Backend) {
	if r.states.all {
		return slices.DeleteFunc(r.have.Loaded.Backends.Slice(), func(b *haproxy.Backend) bool { return !r.untouched(b.Name) })
	}
	var names []string
	for name := range r.states.touched { // each pass of a second looks at all of them
		if r.untouched(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if b, ok := r.have.Loaded.Backend(name); ok {
			backends = append(backends, &b)
		}
	}
	return backends
}

// mayStand reports whether a backend may have servers that get no new clients.
func (r *Reconciler) mayStand(b *haproxy.Backend) bool {
	servers := r.have.Servers[b.Name]
	if slices.ContainsFunc(servers, func(s haproxy.Server) bool { return s.State != haproxy.Ready }) {
		return true
	}
	up, known := r.states.up[b.Name]
	return b.Options.Check && (!known || up < len(servers))
}

// writeServerStates writes a part of each Standing to the file, unless the file has it.
func (r *Reconciler) writeServerStates(part func(runtime.Standing) string) error {
	s := &r.states
	text := cfgfile.EmptyServerState()
	for _, name := range slices.Sorted(maps.Keys(s.standing)) {
		text = append(text, part(s.standing[name])...)
	}
	if s.text != nil && bytes.Equal(text, s.text) {
		return nil
	}
	s.text = nil
	if err := r.dir.WriteServerState(text); err != nil {
		return err
	}
	s.text = text
	return nil
}

// restServerStates writes a file that podgate will not update: podgate ends, or HAProxy does
// not answer and may start at any time.
func (r *Reconciler) restServerStates() error {
	if r.states.standing == nil {
		return nil // the file is that of an earlier podgate
	}
	return r.writeServerStates(func(s runtime.Standing) string { return s.Rest })
}

// endServerStates examines what was changed last, and writes the file for the time
// without podgate. All other writes of files must have ended.
func (r *Reconciler) endServerStates() error {
	if len(r.states.touched) > 0 && r.process.known() {
		ctx, cancel := context.WithTimeout(context.Background(), changePatience)
		defer cancel()
		session := r.runtime.Session(ctx)
		defer session.Close()
		if p, err := session.Process(ctx); err == nil && r.process.is(p) {
			if err := r.keepServerStates(ctx, session); err != nil {
				return err
			}
		}
	}
	return r.restServerStates()
}

// loseServerStates records that HAProxy does not answer, and writes the file for its
// next start after a while.
func (r *Reconciler) loseServerStates() error {
	s := &r.states
	switch {
	case s.lost.IsZero():
		s.lost = r.now()
	case r.now().Sub(s.lost) > restAfter:
		return r.restServerStates()
	}
	return nil
}
