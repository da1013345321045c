// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"time"

	"podgate/daemon/transition"
	"podgate/haproxy"
	"podgate/haproxy/check"
)

// NamesStateFile reports whether the operator's global section names a file of server
// states.
func (h Host) NamesStateFile() (bool, error) {
	globals, err := h.Check.Globals()
	return check.NamesStateFile(globals), err
}

// operatorInterval is how often the operator's files are read.
const operatorInterval = 10 * time.Second

// operator is what podgate knows of the operator's files.
type operator struct {
	readAt         time.Time
	namesStateFile bool
	hindrances     []check.Hindrance
	hinder         transition.Condition
}

// withStateFile returns want with the place where it names the file of server states:
// HAProxy ignores that of podgate's global section if the operator names one.
func (r *Reconciler) withStateFile(want haproxy.State) haproxy.State {
	if now := r.now(); !r.process.known() || now.Sub(r.operator.readAt) > operatorInterval {
		r.readOperator()
		r.operator.readAt = now
	}
	want.Settings.StatePerBackend = r.operator.namesStateFile
	return want
}

// readOperator reads the operator's files, and logs the settings with which podgate
// cannot do its work. Files that cannot be read are as they were.
func (r *Reconciler) readOperator() {
	globals, err := r.haproxy.Globals()
	if err != nil {
		return
	}
	o := &r.operator
	o.namesStateFile = check.NamesStateFile(globals)
	o.hindrances = check.Hindrances(globals, r.adminSocket)
	texts := ""
	for _, h := range o.hindrances {
		texts += h.String() + "\n"
	}
	switch began, ended := o.hinder.Set(texts); {
	case began:
		for _, h := range o.hindrances {
			r.log.Warn("HAProxy has a setting that podgate cannot work with", "file", h.File, "line", h.Line, "reason", h.String())
		}
	case ended:
		r.log.Info("HAProxy has no setting any more that podgate cannot work with")
	}
}
