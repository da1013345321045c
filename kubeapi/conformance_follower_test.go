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

// The bounds of a test that goes well: where the API server is there, and where
// it was away and the next try may be some way off.
const (
	seenWithin        = time.Minute
	seenAfterAnOutage = 2 * time.Minute
	refusedWithin     = 2 * time.Minute
)

// follower is a Client that follows a space until the test ends.
type follower struct {
	*following
	space    *space
	selector string
	last     *kubeapi.Snapshot // nil before the first
}

func (s *space) follow(cfg kubeapi.Config, options ...func(*kubeapi.Client)) *follower {
	s.t.Helper()
	return &follower{following: follow(s.t, cfg, options...), space: s, selector: cfg.Selector}
}

// followers returns one that watches and one that polls.
func (s *space) followers() followers {
	s.t.Helper()
	watches := s.config()
	polls := watches
	polls.Watch = false
	return followers{s.follow(watches), s.follow(polls)}
}

// sees waits for a Snapshot that is as ok wants it, and returns it.
func (f *follower) sees(what string, ok func(*kubeapi.Snapshot) bool) *kubeapi.Snapshot {
	f.t.Helper()
	return f.seesWithin(seenWithin, what, ok)
}

func (f *follower) seesWithin(within time.Duration, what string, ok func(*kubeapi.Snapshot) bool) *kubeapi.Snapshot {
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

// seesLists waits for n more complete lists than there are now, not than were
// looked at.
func (f *follower) seesLists(n int) {
	f.t.Helper()
	select {
	case f.last = <-f.out:
	default:
	}
	all := f.last.Complete + n
	f.sees("there are more lists", func(snapshot *kubeapi.Snapshot) bool { return snapshot.Complete >= all })
}

// seesTruth waits until the last Snapshot is what a list says, and returns it.
func (f *follower) seesTruth() *kubeapi.Snapshot {
	f.t.Helper()
	for deadline := time.After(seenWithin); ; {
		want := f.space.truth(f.selector)
		tick := time.After(200 * time.Millisecond)
		for waiting := true; waiting; {
			if f.last != nil && diff(want, f.last) == "" {
				return f.last
			}
			select {
			case f.last = <-f.out:
			case <-tick: // it may be the list that is behind
				waiting = false
			case <-deadline:
				f.t.Fatalf("the last Snapshot is not what there is (-want +got):\n%s", diff(want, f.last))
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

// told fails unless the log has these messages and no other, debugging apart, in
// any order.
func (f *follower) told(want ...string) {
	f.t.Helper()
	got := f.logs.messages()
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		f.t.Errorf("told (-want +got):\n%s", d)
	}
}

// tells waits until the log has a message so many times.
func (f *follower) tells(within time.Duration, text string, times int) {
	f.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(within); len(f.logs.lines(text)) < times; {
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("told %q %d times in %v, want %d", text, len(f.logs.lines(text)), within, times)
		}
	}
}

// followers are several of one space.
type followers []*follower

func (all followers) see(what string, ok func(*kubeapi.Snapshot) bool) {
	for _, f := range all {
		f.t.Helper()
		f.sees(what, ok)
	}
}

// end waits until all see what there is, and wants nothing told.
func (all followers) end() {
	for _, f := range all {
		f.t.Helper()
		f.seesTruth()
		f.told()
	}
}

// endpoints returns what answers for a Service, as "address:port" with what is
// not as usual behind it, sorted.
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

// answers returns what to see: that exactly these answer for a Service.
func (s *space) answers(service string, want ...string) (string, func(*kubeapi.Snapshot) bool) {
	slices.Sort(want)
	return fmt.Sprintf("%v answer for %s", want, service), func(snapshot *kubeapi.Snapshot) bool {
		return slices.Equal(s.endpoints(snapshot, service), want)
	}
}

// stands returns what to see: that exactly these Services are there.
func stands(names ...string) (string, func(*kubeapi.Snapshot) bool) {
	return fmt.Sprintf("the Services are %v", names), func(s *kubeapi.Snapshot) bool {
		return slices.Equal(serviceNames(s), names)
	}
}
