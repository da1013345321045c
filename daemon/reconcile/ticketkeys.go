// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"time"
)

// ticketKeys is when the keys of TLS session tickets change. They change while
// HAProxy runs and on disk, so that sessions survive reloads and restarts, and that
// a stolen key decrypts no more than what was sent while it was in use.
type ticketKeys struct {
	retry   backoff
	pending []byte // a key that is on disk and that HAProxy has not accepted yet; nil for none
	pid     int    // of that HAProxy: another process has read the key from disk
}

// expired reports whether keys that were written at that time are to change. If the
// time is in the future, the clock was set back since.
func expired(now, written time.Time, interval time.Duration) bool {
	age := now.Sub(written)
	return age >= interval || age < -time.Minute
}

// rotateTicketKeys gives HAProxy a new key when it is time, and writes it to disk
// before.
func (r *Reconciler) rotateTicketKeys(ctx context.Context) error {
	k := &r.ticketKeys
	if !r.ours || !r.process.known() || !r.have.Loaded.EndsTLS() || r.now().Before(k.retry.at) {
		return nil
	}
	if k.pid != r.process.Pid {
		k.pending, k.pid = nil, r.process.Pid
	}
	written, err := r.dir.TicketKeysTime()
	if err != nil || k.pending == nil && !expired(r.now(), written, r.config.TicketKeyInterval) {
		return nil
	}
	if err := r.changeTicketKey(ctx); err != nil {
		k.retry.later(r.now())
		return err
	}
	k.retry.reset()
	r.log.Info("TLS session ticket key changed")
	return nil
}

func (r *Reconciler) changeTicketKey(ctx context.Context) error {
	k := &r.ticketKeys
	if k.pending == nil {
		key, err := r.dir.AddTicketKey()
		if err != nil {
			return err
		}
		k.pending = key
	}
	if err := r.runtime.TicketKey(ctx, string(k.pending)); err != nil {
		return err
	}
	k.pending = nil
	return nil
}
