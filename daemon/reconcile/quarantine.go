// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"podgate/haproxy"
)

// relay stands in quarantine for the relay of the HTTP frontend: it is no name
// of a backend.
const relay = "http.relay"

// quarantine keeps apart the backends that HAProxy cannot load as they are
// wanted, so that one bad object does not stop the rest. A backend comes out
// when something else is wanted of it, and is tried again once in a while: the
// reason may lie outside, as with a port that is taken.
type quarantine struct {
	aside map[string]setAside // by backend
}

// setAside is one backend in quarantine.
type setAside struct {
	wanted string // what was wanted of it
	reason string
	until  time.Time
}

// filter returns want with the backends in quarantine as they were loaded.
func (q *quarantine) filter(want, loaded haproxy.State) haproxy.State {
	names := map[string]bool{}
	for name, a := range q.aside {
		if a.wanted != wanted(want, name) || time.Now().After(a.until) {
			delete(q.aside, name)
			continue
		}
		names[name] = true
	}
	if names[relay] {
		want = want.WithoutRelay()
	}
	return want.SetAside(names, loaded)
}

// add puts backends into quarantine, each with its reason.
func (q *quarantine) add(want haproxy.State, reasons map[string]string) {
	if q.aside == nil {
		q.aside = map[string]setAside{}
	}
	for name, reason := range reasons {
		q.aside[name] = setAside{wanted(want, name), reason, time.Now().Add(refusalPause)}
	}
}

// wanted is all that is wanted of a backend and only a reload can bring.
func wanted(s haproxy.State, name string) string {
	b, _ := s.Backend(name)
	b.Servers = nil
	text := fmt.Sprintf("%+v", b)
	for _, f := range s.Frontends {
		if name == relay && f.Relay.IsValid() {
			return f.Relay.String()
		}
		if f.Backend == name {
			text += fmt.Sprintf(" %+v", f)
		}
	}
	return text
}

// culprits finds those of the suspects, backends, that accepts does not take,
// by halving them, and returns why. It is empty if the fault lies elsewhere.
func culprits(want, loaded haproxy.State, suspects []string, accepts func(haproxy.State) error) map[string]string {
	out := map[string]bool{}
	for _, name := range suspects {
		out[name] = true
	}
	if len(suspects) == 0 || accepts(want.SetAside(out, loaded)) != nil {
		return nil
	}
	reasons := map[string]string{}
	var admit func(names []string)
	admit = func(names []string) {
		for _, name := range names {
			delete(out, name)
		}
		err := accepts(want.SetAside(out, loaded))
		if err == nil {
			return
		}
		for _, name := range names {
			out[name] = true
		}
		if len(names) == 1 {
			reasons[names[0]] = err.Error()
			return
		}
		half := len(names) / 2
		admit(names[:half])
		admit(names[half:])
	}
	admit(suspects)
	return reasons
}

// suspects are the backends that a reload would bring or change, sorted.
func suspects(loaded, want haproxy.State) []string {
	names := map[string]bool{}
	for _, b := range want.Backends.All() {
		if wanted(loaded, b.Name) != wanted(want, b.Name) {
			names[b.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
