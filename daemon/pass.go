// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"podgate/haproxy"
)

// Pass is what one pass of the loop did to HAProxy.
type Pass struct {
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

	servers map[string]*delta // what Added and Left are, by backend
}

// delta is how the servers of one backend changed.
type delta struct{ in, out int }

// Empty reports whether the pass did nothing.
func (p Pass) Empty() bool {
	return p.Added+p.Maps+p.Left+p.Backends+p.Certificates+p.Drift == 0 && len(p.Reload) == 0 && p.Err == nil
}

func (p *Pass) count(plan haproxy.Plan) {
	p.Added += len(plan.Add)
	p.Maps += len(plan.Maps)
	p.Certificates += len(plan.Certificates) + len(plan.DropCertificates)
	for _, c := range plan.Add {
		p.delta(c.Backend.Name).in++
	}
	p.Backends += len(plan.Publish) + len(plan.OldBackends)
	for _, c := range plan.Leave {
		if c.Op == haproxy.SetServer {
			p.Left++
			p.delta(c.Backend.Name).out++
		}
	}
}

func (p *Pass) delta(backend string) *delta {
	if p.servers == nil {
		p.servers = map[string]*delta{}
	}
	d := p.servers[backend]
	if d == nil {
		d = new(delta)
		p.servers[backend] = d
	}
	return d
}
