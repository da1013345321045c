// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/check"
)

// quarantine holds the backends that HAProxy cannot load as they are wanted, so that one
// bad object does not stop the others. A backend leaves it when its wanted structure
// changes, and after retryPause: the cause may have ended meanwhile, for example the
// other program on its port.
type quarantine struct {
	backends map[string]setAside
	relay    relayAside
}

// setAside is one backend in quarantine.
type setAside struct {
	wanted request
	reason string
	until  time.Time
}

// relayAside is the relay in quarantine; the zero relayAside is no relay.
type relayAside struct {
	addr  netip.AddrPort
	until time.Time
}

// filter returns want with the backends in quarantine as they were loaded.
func (q *quarantine) filter(now time.Time, want, loaded haproxy.State) haproxy.State {
	names := map[string]bool{}
	for name, a := range q.backends {
		if !a.wanted.equal(requestOf(want, name)) || now.After(a.until) {
			delete(q.backends, name)
			continue
		}
		names[name] = true
	}
	if q.relay != (relayAside{}) && (q.relay.addr != relayOf(want) || now.After(q.relay.until)) {
		q.relay = relayAside{}
	}
	if q.relay != (relayAside{}) {
		want = want.WithoutRelay()
	}
	return want.SetAside(names, loaded)
}

// add sets backends aside, each for its reason.
func (q *quarantine) add(now time.Time, want haproxy.State, reasons map[string]string) {
	if q.backends == nil {
		q.backends = map[string]setAside{}
	}
	for name, reason := range reasons {
		q.backends[name] = setAside{requestOf(want, name), reason, now.Add(retryPause)}
	}
}

// addRelay sets the relay aside.
func (q *quarantine) addRelay(now time.Time, want haproxy.State) {
	q.relay = relayAside{relayOf(want), now.Add(retryPause)}
}

// relayOf is the address of the relay; zero if no frontend has one.
func relayOf(s haproxy.State) netip.AddrPort {
	for _, f := range s.Frontends {
		if f.Relay.IsValid() {
			return f.Relay
		}
	}
	return netip.AddrPort{}
}

// request is the part of a backend that only a reload changes.
type request struct {
	backend   haproxy.Backend
	frontends []haproxy.Frontend // TCP frontends that lead to it
}

func requestOf(s haproxy.State, name string) (r request) {
	r.backend, _ = s.Backend(name)
	for _, f := range s.Frontends {
		if f.Backend == name {
			r.frontends = append(r.frontends, f)
		}
	}
	return r
}

func (r request) equal(o request) bool {
	return r.backend.SameStructure(&o.backend) && reflect.DeepEqual(r.frontends, o.frontends)
}

// culprits returns the suspects because of which accept rejects want, by backend, with its
// error; err is its error for want. It returns nil if accept fails without any suspect as
// well.
func culprits(want, loaded haproxy.State, suspects []string, err error, accept func(haproxy.State) error) map[string]string {
	without := func(names map[string]bool) error { return accept(want.SetAside(names, loaded)) }
	if blamed := blamed(suspects, err, without); blamed != nil {
		suspects = blamed
	} else if len(suspects) == 0 || without(setOf(suspects)) != nil {
		return nil
	}
	out := setOf(suspects) // set aside
	reasons := map[string]string{}
	bisectRejected(suspects, err, func(names []string) error {
		for _, name := range names {
			delete(out, name)
		}
		err := without(out)
		if err != nil {
			for _, name := range names {
				out[name] = true
			}
		}
		return err
	}, func(name string, err error) { reasons[name] = err.Error() })
	return reasons
}

// mostBlames is how often HAProxy may blame other backends after the first ones are set
// aside.
const mostBlames = 3

// blamed returns the suspects that HAProxy's messages refer to, sorted, if the configuration
// without them is accepted; nil if not. In most cases it finds the culprits among thousands
// of backends by one haproxy -c, where bisecting takes dozens. err is the error of the
// configuration with all of them.
func blamed(suspects []string, err error, without func(map[string]bool) error) []string {
	suspected, names := setOf(suspects), map[string]bool{}
	for range mostBlames {
		rejected, ok := errors.AsType[*check.RejectedError](err)
		if !ok {
			return nil
		}
		before := len(names)
		for _, name := range rejected.Backends {
			if suspected[name] {
				names[name] = true
			}
		}
		if len(names) == before {
			return nil
		}
		if err = without(names); err == nil {
			return slices.Sorted(maps.Keys(names))
		}
	}
	return nil
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// suspects returns the names of the backends that a reload would add or change.
func suspects(loaded, want haproxy.State) (names []string) {
	for _, b := range want.Backends.All() {
		if !requestOf(loaded, b.Name).equal(requestOf(want, b.Name)) {
			names = append(names, b.Name)
		}
	}
	return names
}
