// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"time"

	"podgate/haproxy"
)

// Result is what one Reconcile did to HAProxy.
type Result struct {
	Added int // servers added, or made ready again
	Maps  int // maps swapped
	Left  int // servers drained, put into maint or deleted
	// Backends is how many backends were added, deleted or published without a reload.
	Backends     int
	Certificates int             // certificates added, changed or deleted
	Drift        int             // backends, maps and certificates that another program had changed, and that were repaired
	Reload       haproxy.Reasons // why HAProxy was reloaded; nil if it was not
	Took         time.Duration   // of the whole pass
	Err          error           // why the pass failed; it is retried

	Servers map[string]Delta // Added and Left by backend

	Next   time.Time // when to call Reconcile again although nothing changed
	Relist bool      // the removal guard needs a new list of the cluster
}

// Delta is how many servers of one backend were added or made ready again (In), and
// drained, put into maint or deleted (Out).
type Delta struct{ In, Out int }

// Empty reports whether the pass changed nothing and succeeded.
func (p Result) Empty() bool {
	return p.Added+p.Maps+p.Left+p.Backends+p.Certificates+p.Drift == 0 && len(p.Reload) == 0 && p.Err == nil
}

func (p *Result) count(plan haproxy.Plan) {
	p.Added += len(plan.Add)
	p.Maps += len(plan.Maps)
	p.Certificates += len(plan.Certificates) + len(plan.DropCertificates)
	for _, c := range plan.Add {
		p.change(c.Backend.Name, Delta{In: 1})
	}
	p.Backends += len(plan.Publish) + len(plan.OldBackends)
	for _, b := range plan.NewBackends {
		if b.Spare != "" {
			p.Backends++
		}
	}
	for _, c := range plan.Leave {
		if c.Op == haproxy.SetServer {
			p.Left++
			p.change(c.Backend.Name, Delta{Out: 1})
		}
	}
}

func (p *Result) change(backend string, d Delta) {
	if p.Servers == nil {
		p.Servers = map[string]Delta{}
	}
	sum := p.Servers[backend]
	p.Servers[backend] = Delta{sum.In + d.In, sum.Out + d.Out}
}
