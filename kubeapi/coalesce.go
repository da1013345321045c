// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"sync"
	"time"
)

// coalesceInterval is the shortest time between two Snapshots: a rollout writes
// several objects within milliseconds, and the cost of acting on a Snapshot depends
// little on how much changed.
const coalesceInterval = 20 * time.Millisecond

// coalescer sends Snapshots: one for a change immediately, but no sooner than
// coalesceInterval after the last one.
type coalescer struct {
	lock sync.Locker // is held by callers of all methods, and while send is called
	send func()

	last time.Time   // when it sent; zero for never
	next *time.Timer // that will send; nil while there is nothing new
}

// changed notes that there is something to send.
func (p *coalescer) changed() {
	if p.next != nil {
		return
	}
	wait := time.Until(p.last.Add(coalesceInterval))
	if wait <= 0 {
		p.sendNow()
		return
	}
	p.next = time.AfterFunc(wait, func() {
		p.lock.Lock()
		defer p.lock.Unlock()
		if p.next != nil { // not stopped meanwhile
			p.next = nil
			p.sendNow()
		}
	})
}

func (p *coalescer) sendNow() {
	p.send()
	p.last = time.Now()
}

// stop drops what has not been sent.
func (p *coalescer) stop() {
	if p.next != nil {
		p.next.Stop()
		p.next = nil
	}
}
