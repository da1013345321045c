// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"time"
)

// ticketKeys is the rotation of the TLS session ticket keys. A key is changed on disk and
// in the running HAProxy, so that sessions survive reloads and restarts. A stolen key
// decrypts only what was sent while it was in use.
type ticketKeys struct {
	retry   backoff
	pending []byte // the key that is on disk, and that the running HAProxy does not have yet; nil for none
	pid     int    // of that HAProxy process: a later one has read the key from disk
}

// expired reports whether keys that were written at that time must change. A time in the
// future means that the clock was set back.
func expired(now, written time.Time, interval time.Duration) bool {
	age := now.Sub(written)
	return age >= interval || age < -time.Minute
}

// rotateTicketKeys sends HAProxy a new key when one is due, after writing it to disk.
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
