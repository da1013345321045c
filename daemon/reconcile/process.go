// SPDX-License-Identifier: Apache-2.0

package reconcile

import "podgate/haproxy/runtime"

// process is the HAProxy process that answered last, if podgate knows what it
// serves. The zero process is unknown: at the start, while HAProxy does not answer,
// and after a change or a reload of which only HAProxy knows how much was done. The
// next pass reads everything back from the process that answers then.
type process struct{ runtime.Process }

// known reports whether podgate knows what the process serves.
func (p process) known() bool { return p.Pid != 0 }

// forget makes the process unknown.
func (p *process) forget() { *p = process{} }

// is reports whether o is the known process, with the configuration that it had.
func (p process) is(o runtime.Process) bool {
	return p.known() && p.Pid == o.Pid && p.Generation == o.Generation
}
