// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

// View is podgate as it was at the end of one pass of its loop. It is not
// changed once it was published; it refers to what the loop holds and copies
// nothing that grows with the cluster.
type View struct {
	Version string
	Commit  string
	Started time.Time
	At      time.Time // of the pass

	Config      *config.Config
	ConfigFile  string
	ConfigError string    // why the file as it is now is not in force; "" where it is
	ConfigSince time.Time // since when that is so

	API      *kubeapi.Client   // for its Status
	Snapshot *kubeapi.Snapshot // nil before the first complete list
	Result   *compile.Result   // what Snapshot came to; nil as long
	Problems []Problem         // sorted by compile.Problem.Compare
	Edge     Edge
	Health   *Health   // nil before it was first asked for
	Changes  []*Change // the oldest first
	Latency  Latency

	Certificates        []Certificate         // in use, the first to expire first
	Shown               []haproxy.Certificate // the same, with the names that they serve, without their keys
	CertificateProblems []CertificateProblem  // sorted by File and Text
}

// Problem is a compile.Problem, or one that was found with HAProxy's help.
type Problem struct {
	compile.Problem
	Since time.Time
}

// Edge is the HAProxy beside podgate.
type Edge struct {
	reconcile.Status
	Since    time.Time
	Draining bool // load balancers are told to send nobody here

	Runtime *runtime.Client // for questions; it changes nothing here
}

// Health is how HAProxy judged the servers when it was last asked.
type Health struct {
	At      time.Time
	Up      map[string]int // servers that take new clients, by backend; nil if it did not answer
	Retired int            // workers of earlier configurations that still have connections
	// Before are the backends that were wanted when HAProxy was asked the time
	// before: it may not have checked servers that were added since. The zero value
	// has none.
	Before haproxy.Backends
}

// sameServers reports whether a backend has the servers that it had before.
func (h *Health) sameServers(b *haproxy.Backend) bool {
	i, ok := h.Before.Search(func(old *haproxy.Backend) int { return cmp.Compare(old.Name, b.Name) })
	return ok && (h.Before.At(i) == b || slices.Equal(h.Before.At(i).Servers, b.Servers))
}

// UpServers is how many of the servers of a backend are up, at most ready. It reports
// false where HAProxy did not say, or said it of other servers.
func (h *Health) UpServers(b *haproxy.Backend, ready int) (int, bool) {
	if h == nil || h.Up == nil || !h.sameServers(b) {
		return 0, false
	}
	up, known := h.Up[b.Name]
	return min(up, ready), known
}

// unloaded reports whether HAProxy had no such backend when it was last asked, and
// has not been in sync since.
func (v *View) unloaded(b *haproxy.Backend) bool {
	if v.Edge.InSync || v.Health == nil || v.Health.Up == nil {
		return false
	}
	_, there := v.Health.Up[b.Name]
	return !there
}

// Change is something that happened: podgate did something to HAProxy, or a
// state began or ended.
type Change struct {
	At      time.Time `json:"at"` // when it was done
	Service string    `json:"service,omitempty"`
	What    string    `json:"what"`
	Object  string    `json:"object,omitempty"`           // what it came from: "EndpointSlice shop/cart-x7k2"
	Version string    `json:"resource_version,omitempty"` // of Object
	How     How       `json:"how"`
	Why     string    `json:"why,omitempty"` // why HAProxy was reloaded, or what went wrong
	// Waited is from the event to the end of what was done, Took of the doing
	// alone; zero where nothing was done.
	Waited Seconds `json:"waited_seconds,omitempty"`
	Took   Seconds `json:"took_seconds,omitempty"`
}

// How says how a Change came to HAProxy.
type How string

// The ways. NotApplied is a state that began or ended.
const (
	ByRuntime  How = "runtime"
	ByReload   How = "reload"
	NotApplied How = "-"
)

// Seconds is a duration that is a number of seconds in JSON.
type Seconds time.Duration

// MarshalJSON writes seconds, to the millisecond.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Round(time.Millisecond).Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("%q is not a number of seconds", text)
	}
	*s = Seconds(f * float64(time.Second))
	return nil
}
