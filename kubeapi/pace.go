// SPDX-License-Identifier: Apache-2.0

package kubeapi

import "time"

// coalesce is how long Snapshots are apart at least: a rollout writes several
// objects within milliseconds, and each Snapshot costs whoever acts on it the
// same, however much changed.
const coalesce = 20 * time.Millisecond

// pace says when the next Snapshot is to be sent: at once, but coalesce after the
// last one at the earliest. The zero value has sent none.
type pace struct {
	due  <-chan time.Time // when to send; nil while there is nothing new
	last time.Time
}

// changed notes that there is something to send.
func (p *pace) changed() {
	if p.due == nil {
		p.due = time.After(time.Until(p.last.Add(coalesce)))
	}
}

// sent notes that all there was is sent now.
func (p *pace) sent() { p.due, p.last = nil, time.Now() }
