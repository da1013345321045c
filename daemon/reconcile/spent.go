// SPDX-License-Identifier: Apache-2.0

package reconcile

import "time"

// Spent is how long a Reconciler has been busy with each part of its work since New.
// Check may overlap with the others.
type Spent struct {
	Render   time.Duration // to render files, and to write them to the disk
	Check    time.Duration // haproxy -c
	Load     time.Duration // reloads, until the new process serves and the old one stops
	ReadBack time.Duration // to read what HAProxy serves
}

// spend adds the time from the call of spend to the call of the function that it returns.
func (r *Reconciler) spend(part *time.Duration) (done func()) {
	began := r.now()
	return func() { *part += r.now().Sub(began) }
}
