// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"fmt"
	"slices"
	"time"

	"podgate/daemon/guard"
	"podgate/haproxy"
	"podgate/haproxy/check"
	"podgate/haproxy/runtime"
)

// Status is how HAProxy is at the end of a Reconcile.
type Status struct {
	Process runtime.Process // the process that answered last; zero if HAProxy does not answer, or podgate does not know what it serves
	InSync  bool            // HAProxy serves what is wanted, except the changes of Slow that wait
	Serves  bool            // like InSync, also without backends that HAProxy cannot load
	Trouble string          // why the last pass failed; "" if it did not

	Backends  int    // how many backends HAProxy has loaded
	ViaMaster string // why the admin socket is not used; "" while it is
	NoPeers   string // why HAProxy shares no stick tables with other edge nodes; "" if it does, or if there are no peers
	NoRelay   string // why old workers do not use the relay; "" if they do
	// Hindrances are settings of the operator with which podgate cannot do its work.
	Hindrances []check.Hindrance

	ReloadAt      time.Time           // when HAProxy is to be reloaded next; zero for never
	ReloadReasons haproxy.Reasons     // those of Slow last
	ReloadCost    ReloadCost          // from which the minimum time between two reloads follows
	ReloadFloor   time.Duration       // this minimum time
	Slow          []SlowNamespace     // by Name
	Leaving       int                 // servers in maint that still have connections
	Removal       *guard.Removal      // the removal that is held; nil for none
	SetAside      map[string]SetAside // by backend; those that HAProxy cannot load as they are wanted

	// Certificates are the wanted certificates. One that HAProxy does not load is
	// replaced by the certificate in service, and Rejected has the reason.
	Certificates []haproxy.Certificate
	Rejected     []Rejection

	Counters Counters
}

// SetAside is why HAProxy cannot load a backend as it is wanted.
type SetAside struct {
	Reason string
	Served bool // HAProxy serves the backend as it was loaded before
}

// Unserved returns how many backends HAProxy cannot load and does not have in an earlier
// version.
func (s Status) Unserved() (n int) {
	for _, a := range s.SetAside {
		if !a.Served {
			n++
		}
	}
	return n
}

// Answers reports whether a process is known.
func (s Status) Answers() bool { return s.Process != runtime.Process{} }

// String is one line for "systemctl status".
func (s Status) String() string {
	switch {
	case s.Trouble != "":
		return "out of sync: " + s.Trouble
	case s.Unserved() > 0:
		return fmt.Sprintf("out of sync: HAProxy cannot load %d of the new backends", s.Unserved())
	case !s.ReloadAt.IsZero():
		return "a reload of HAProxy is due"
	case s.Removal != nil:
		return s.Removal.Status()
	}
	return fmt.Sprintf("in sync: %d backends, HAProxy %s", s.Backends, s.Process.Version)
}

// Status returns the present Status.
func (r *Reconciler) Status() Status {
	certificates, _ := r.validated.last(r.certificates)
	s := Status{
		Process: r.process.Process, Trouble: r.trouble.Reason(),
		Backends: r.have.Loaded.CountBackends(), NoPeers: r.noPeers.Reason(), NoRelay: r.noRelay.Reason(),
		ReloadAt: r.reload.at, ReloadReasons: slices.Concat(r.reload.reasons, r.slow.waiting),
		ReloadCost: r.reload.cost, ReloadFloor: r.reload.cost.Floor(r.config.ReloadInterval), Slow: r.slow.slow(r.now(), r.config.ReloadInterval),
		Leaving: r.deletes.leaving, Removal: r.guard.Removal(),
		SetAside:     map[string]SetAside{},
		Certificates: certificates, Rejected: r.validated.rejected,
		Hindrances: r.operator.hindrances,
		Counters:   r.count,
	}
	if err := r.runtime.AdminSocket(); err != nil {
		s.ViaMaster = err.Error()
	}
	for name, a := range r.quarantine.backends {
		_, served := r.have.Loaded.Backend(name)
		s.SetAside[name] = SetAside{a.reason, served}
	}
	if s.ReloadAt.IsZero() {
		s.ReloadAt = r.slow.until
	}
	s.Serves = s.Answers() && r.ours && s.Trouble == "" && len(r.reload.reasons) == 0
	s.InSync = s.Serves && s.Unserved() == 0
	return s
}
