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

// View is the state of podgate at the end of one pass of its loop. It is immutable.
// It refers to values of the loop, and copies nothing that grows with the cluster.
type View struct {
	Version string
	Commit  string
	Started time.Time
	At      time.Time // of the pass

	Config      *config.Config
	ConfigFile  string
	ConfigError string    // why the current file is not in force; "" if it is
	ConfigSince time.Time // when ConfigError last changed

	API      *kubeapi.Client   // for its Status
	Snapshot *kubeapi.Snapshot // nil before the first complete list
	Result   *compile.Result   // of Snapshot; nil while that is nil
	Problems []Problem         // sorted by compile.Problem.Compare
	Edge     Edge
	Health   *Health   // nil before the first answer
	Changes  []*Change // the oldest first
	Latency  Latency

	Certificates        []Certificate         // in use, by expiry
	Shown               []haproxy.Certificate // the same, with the names that they serve, without keys
	CertificateProblems []CertificateProblem  // sorted by File and Text
}

// Problem is a Problem of compile, or one that was found with HAProxy.
type Problem struct {
	compile.Problem
	Since time.Time
}

// Edge is the local HAProxy.
type Edge struct {
	reconcile.Status
	Since    time.Time
	Draining bool // the health checks of the load balancer fail

	Runtime *runtime.Client // only for queries
}

// Health is the last answer of HAProxy about the health of servers.
type Health struct {
	At         time.Time
	Up         map[string]int // servers that get new clients, by backend; nil if HAProxy did not answer
	OldWorkers int            // old workers that still have connections
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

// UpServers returns how many servers of a backend are up, at most ready. It reports
// false if HAProxy did not answer, or the backend had other servers then.
func (h *Health) UpServers(b *haproxy.Backend, ready int) (int, bool) {
	if h == nil || h.Up == nil || !h.sameServers(b) {
		return 0, false
	}
	up, known := h.Up[b.Name]
	return min(up, ready), known
}

// unloaded reports whether HAProxy cannot load the backend, or did not have it when it was
// last asked, and has not been in sync since.
func (v *View) unloaded(b *haproxy.Backend) bool {
	if aside, ok := v.Edge.SetAside[b.Name]; ok && !aside.Served {
		return true
	}
	if v.Edge.InSync || v.Health == nil || v.Health.Up == nil {
		return false
	}
	_, there := v.Health.Up[b.Name]
	return !there
}

// Change is an entry of the history: a change of HAProxy, or a state that began or
// ended.
type Change struct {
	At      time.Time `json:"at"` // when it was completed
	Service string    `json:"service,omitempty"`
	What    string    `json:"what"`
	Object  string    `json:"object,omitempty"`           // that caused it: "EndpointSlice shop/cart-x7k2"
	Version string    `json:"resource_version,omitempty"` // of Object
	How     How       `json:"how"`
	Why     string    `json:"why,omitempty"` // why HAProxy was reloaded, or what went wrong
	// Waited is the time from the event to the end of the change of HAProxy, Took that
	// of the change itself; both are zero if HAProxy was not changed.
	Waited Seconds `json:"waited_seconds,omitempty"`
	Took   Seconds `json:"took_seconds,omitempty"`
}

// How is the way in which HAProxy was changed.
type How string

// The ways. NotApplied is for a state that began or ended.
const (
	ByRuntime  How = "runtime"
	ByReload   How = "reload"
	NotApplied How = "-"
)

// Seconds is a duration, a number of seconds in JSON.
type Seconds time.Duration

// MarshalJSON writes seconds, to the millisecond.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Round(time.Millisecond).Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON parses a number of seconds.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("%q is not a number of seconds", text)
	}
	*s = Seconds(f * float64(time.Second))
	return nil
}
