// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"time"
)

// tickets says when the keys of session tickets change. They are changed while
// HAProxy runs and on disk, so that sessions outlive reloads and restarts, and
// that who steals a key can read no more than what was said with it.
type tickets struct {
	retry  backoff
	untold []byte // a key that is on disk, and that HAProxy did not take yet; nil for none
	pid    int    // of that HAProxy: another one has read it from there
}

// due reports whether keys that were written at some time are to change. Time
// that is to come is of a clock that was set back since.
func (t *tickets) due(written time.Time, interval time.Duration) bool {
	age := time.Since(written)
	return age >= interval || age < -time.Minute
}

// rotateTickets gives HAProxy a new key when it is time: on disk first.
func (r *Reconciler) rotateTickets(ctx context.Context) error {
	if !r.ours || r.process.Pid == 0 || !r.have.Loaded.EndsTLS() || time.Now().Before(r.tickets.retry.at) {
		return nil
	}
	if r.tickets.pid != r.process.Pid {
		r.tickets.untold, r.tickets.pid = nil, r.process.Pid
	}
	written, err := r.dir.TicketKeysTime()
	if err != nil || r.tickets.untold == nil && !r.tickets.due(written, r.config.TicketKeyInterval) {
		return nil
	}
	if err := r.changeTicketKey(ctx); err != nil {
		r.tickets.retry.later()
		return err
	}
	r.tickets.retry.reset()
	r.log.Info("key of session tickets changed")
	return nil
}

func (r *Reconciler) changeTicketKey(ctx context.Context) error {
	if r.tickets.untold == nil {
		key, err := r.dir.AddTicketKey()
		if err != nil {
			return err
		}
		r.tickets.untold = key
	}
	if err := r.runtime.TicketKey(ctx, string(r.tickets.untold)); err != nil {
		return err
	}
	r.tickets.untold = nil
	return nil
}
