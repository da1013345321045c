// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"
)

// tickets says when the keys of session tickets change. They are changed while
// HAProxy runs and on disk, so that sessions outlive reloads and restarts, and
// that who steals a key can read no more than what was said with it.
type tickets struct {
	interval time.Duration
	retry    backoff
	untold   []byte // a key that is on disk, and that HAProxy did not take yet; nil for none
	pid      int    // of that HAProxy: another one has read it from there
}

// due reports whether keys that were written at some time are to change. Time
// that is to come is of a clock that was set back since.
func (t *tickets) due(written time.Time) bool {
	age := time.Since(written)
	return age >= t.interval || age < -time.Minute
}

// rotateTickets gives HAProxy a new key when it is time: on disk first.
func (e *edge) rotateTickets(ctx context.Context) error {
	if !e.ours || e.process.Pid == 0 || !e.have.Loaded.EndsTLS() || time.Now().Before(e.tickets.retry.at) {
		return nil
	}
	if e.tickets.pid != e.process.Pid {
		e.tickets.untold, e.tickets.pid = nil, e.process.Pid
	}
	written, err := e.folder.TicketKeysTime()
	if err != nil || e.tickets.untold == nil && !e.tickets.due(written) {
		return nil
	}
	if err := e.changeTicketKey(ctx); err != nil {
		e.tickets.retry.later()
		return err
	}
	e.tickets.retry.reset()
	e.log.Info("key of session tickets changed")
	return nil
}

func (e *edge) changeTicketKey(ctx context.Context) error {
	if e.tickets.untold == nil {
		key, err := e.folder.AddTicketKey()
		if err != nil {
			return err
		}
		e.tickets.untold = key
	}
	if err := e.runtime.TicketKey(ctx, string(e.tickets.untold)); err != nil {
		return err
	}
	e.tickets.untold = nil
	return nil
}
