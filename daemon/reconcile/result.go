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
	Left  int // servers drained, taken out or deleted
	// Backends are those that HAProxy took or gave up, or led requests to again,
	// without a reload.
	Backends int
	// Certificates that came, changed or went.
	Certificates int
	Drift        int             // backends, maps and certificates that were not as podgate had left them, and were repaired
	Reload       haproxy.Reasons // why HAProxy was reloaded; nil if it was not
	Took         time.Duration   // of all that
	Err          error           // what went wrong; it is tried again

	Servers map[string]Delta // what Added and Left are, by backend

	Next   time.Time // when to call Reconcile again although nothing changed
	Relist bool      // the cluster is to be listed again, for the removal guard
}

// Delta is how many servers of one backend were added, or made ready again, and
// drained, taken out or deleted.
type Delta struct{ In, Out int }

// Empty reports whether it did nothing.
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
