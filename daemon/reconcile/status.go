// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"fmt"
	"time"

	"podgate/daemon/guard"
	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// Status is how HAProxy is at the end of a Reconcile.
type Status struct {
	Process runtime.Process // that answered last; zero if HAProxy does not answer, or it is unknown what it serves
	InSync  bool            // it serves what is wanted
	Trouble string          // why it does not; "" while it does, or is on its way

	Backends  int    // that HAProxy has loaded
	ViaMaster string // why the admin socket is not used; "" while it is
	NoPeers   string // why HAProxy shares nothing with other edge nodes; "" while it does, or is to share nothing
	NoRelay   string // why old workers answer by themselves; "" while they do not

	ReloadAt      time.Time // when HAProxy is to be reloaded next; zero for never
	ReloadReasons haproxy.Reasons
	Leaving       int               // servers that take nothing new, and have connections yet
	Removal       *guard.Removal    // that is held; nil for none
	SetAside      map[string]string // by backend: why HAProxy does not load it as it is wanted

	// Certificates are those that were wanted last. One that HAProxy would not load
	// is replaced by the one in service, and a reason is in Rejected.
	Certificates []haproxy.Certificate
	Rejected     []Rejection

	Counters Counters
}

// Answers reports whether a process is known.
func (s Status) Answers() bool { return s.Process != runtime.Process{} }

// String is one line for "systemctl status".
func (s Status) String() string {
	switch {
	case s.Trouble != "":
		return "out of sync: " + s.Trouble
	case !s.ReloadAt.IsZero():
		return "a reload of HAProxy is due"
	case s.Removal != nil:
		return s.Removal.Status()
	}
	return fmt.Sprintf("in sync: %d backends, HAProxy %s", s.Backends, s.Process.Version)
}

// Status is how HAProxy is now.
func (r *Reconciler) Status() Status {
	certificates, _ := r.validated.of(r.certificates)
	s := Status{
		Process: r.process.Process, Trouble: r.trouble.Reason(),
		Backends: r.have.Loaded.Backends.Len(), NoPeers: r.noPeers.Reason(), NoRelay: r.noRelay.Reason(),
		ReloadAt: r.reload.at, ReloadReasons: r.reload.reasons, Leaving: r.deletes.leaving, Removal: r.guard.Removal(),
		SetAside:     map[string]string{},
		Certificates: certificates, Rejected: r.validated.rejected,
		Counters: r.count,
	}
	s.InSync = s.Answers() && r.ours && s.Trouble == "" && len(s.ReloadReasons) == 0
	if err := r.runtime.AdminSocket(); err != nil {
		s.ViaMaster = err.Error()
	}
	for name, a := range r.quarantine.backends {
		s.SetAside[name] = a.reason
	}
	return s
}
