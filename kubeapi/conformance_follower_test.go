//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/kubeapi"
)

// How long a test waits, at most: while the API server answers, after an outage, when the
// next attempt may take a while, and until something is rejected.
const (
	usually         = time.Minute
	afterAnOutage   = 2 * time.Minute
	afterARejection = 2 * time.Minute
)

// follower is a Client that follows a space until the test ends.
type follower struct {
	*following
	space *space
	last  *kubeapi.Snapshot // nil before the first
}

func (s *space) follow(cfg kubeapi.Config, options ...func(*kubeapi.Client)) *follower {
	s.t.Helper()
	return &follower{following: follow(s.t, cfg, options...), space: s}
}

// followers returns one that watches and one that polls.
func (s *space) followers() followers {
	s.t.Helper()
	watches := s.config()
	polls := watches
	polls.Watch = false
	return followers{s.follow(watches), s.follow(polls)}
}

// await waits for a Snapshot for which ok is true, and returns it.
func (f *follower) await(what string, ok func(*kubeapi.Snapshot) bool) *kubeapi.Snapshot {
	f.t.Helper()
	return f.awaitWithin(usually, what, ok)
}

func (f *follower) awaitWithin(within time.Duration, what string, ok func(*kubeapi.Snapshot) bool) *kubeapi.Snapshot {
	f.t.Helper()
	deadline := time.After(within)
	for f.last == nil || !ok(f.last) {
		select {
		case f.last = <-f.out:
		case <-deadline:
			f.t.Fatalf("no Snapshot in which %s; the last one: %s", what, describe(f.last))
		}
	}
	return f.last
}

// awaitTruth waits until the last Snapshot equals a list, and returns it.
func (f *follower) awaitTruth() *kubeapi.Snapshot {
	f.t.Helper()
	for deadline := time.After(usually); ; {
		want := f.space.truth()
		tick := time.After(200 * time.Millisecond)
		for waiting := true; waiting; {
			if f.last != nil && diff(want, f.last) == "" {
				return f.last
			}
			select {
			case f.last = <-f.out:
			case <-tick: // the list may be the older one
				waiting = false
			case <-deadline:
				f.t.Fatalf("the last Snapshot differs from a list (-want +got):\n%s", diff(want, f.last))
			}
		}
	}
}

// diff compares what two Snapshots hold.
func diff(want, got *kubeapi.Snapshot) string {
	type content struct {
		Services []*kubeapi.Service
		Slices   map[kubeapi.Key][]*kubeapi.EndpointSlice
	}
	of := func(s *kubeapi.Snapshot) content {
		if s == nil {
			return content{}
		}
		return content{s.Services, maps.Collect(s.Slices.All())}
	}
	return cmp.Diff(of(want), of(got), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty())
}

// logged fails unless the log has these messages, in any order, and no others of level
// Info or higher.
func (f *follower) logged(want ...string) {
	f.t.Helper()
	got := f.logs.messages()
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		f.t.Errorf("log (-want +got):\n%s", d)
	}
}

// awaitLog waits until the log has a message so many times.
func (f *follower) awaitLog(within time.Duration, text string, times int) {
	f.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(within); len(f.logs.lines(text)) < times; {
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("logged %q %d times in %v, want %d", text, len(f.logs.lines(text)), within, times)
		}
	}
}

// followers follow the same space.
type followers []*follower

func (all followers) await(what string, ok func(*kubeapi.Snapshot) bool) {
	for _, f := range all {
		f.t.Helper()
		f.await(what, ok)
	}
}

// end waits until the Snapshots of all equal a list; nothing may be logged.
func (all followers) end() {
	for _, f := range all {
		f.t.Helper()
		f.awaitTruth()
		f.logged()
	}
}

// endpoints returns the endpoints of a Service, sorted, as "address:port" and the
// conditions that are not the usual ones.
func (s *space) endpoints(snapshot *kubeapi.Snapshot, service string) []string {
	var all []string
	for _, slice := range snapshot.Slices.Of(s.key(service)) {
		for _, e := range slice.Endpoints {
			for _, p := range slice.Ports {
				text := netip.AddrPortFrom(e.Addr, p.Port).String()
				for _, mark := range []struct {
					holds bool
					text  string
				}{{!e.Ready, "not ready"}, {!e.Serving, "not serving"}, {e.Terminating, "terminating"}} {
					if mark.holds {
						text += " " + mark.text
					}
				}
				all = append(all, text)
			}
		}
	}
	slices.Sort(all)
	return all
}

// endpointsAre returns what to await: exactly these endpoints of a Service.
func (s *space) endpointsAre(service string, want ...string) (string, func(*kubeapi.Snapshot) bool) {
	slices.Sort(want)
	return fmt.Sprintf("%s has the endpoints %v", service, want), func(snapshot *kubeapi.Snapshot) bool {
		return slices.Equal(s.endpoints(snapshot, service), want)
	}
}

// servicesAre returns what to await: exactly these Services.
func servicesAre(names ...string) (string, func(*kubeapi.Snapshot) bool) {
	return fmt.Sprintf("the Services are %v", names), func(s *kubeapi.Snapshot) bool {
		return slices.Equal(serviceNames(s), names)
	}
}
