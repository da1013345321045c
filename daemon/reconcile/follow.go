// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

const (
	// writeDelay gathers changes that HAProxy serves already, before they are
	// written to the file.
	writeDelay = time.Second
	// writePause is how long a write waits for the one before to end.
	writePause = 50 * time.Millisecond
)

// writeSoon has follow write what HAProxy serves, after writeDelay at most.
func (r *Reconciler) writeSoon() {
	if r.writeAt.IsZero() {
		r.writeAt = r.now().Add(writeDelay)
	}
}

// follow starts to write what HAProxy serves to the file, if that is due and known.
// It does not wait for the disk, and returns the error of the write before.
func (r *Reconciler) follow() error {
	due := !r.writeAt.IsZero() && !r.now().Before(r.writeAt) && r.process.known()
	switch {
	case r.writer.Busy():
		if due {
			r.writeAt = r.now().Add(writePause)
		}
	case r.ours && due:
		r.writeAt = time.Time{}
		r.writer.Start(r.have)
	case r.writer.Err() != nil:
		r.writeSoon()
	}
	return r.writer.Err()
}

// writeForStart writes want while HAProxy does not answer, for its next start. It
// writes no configuration that HAProxy would not start with.
func (r *Reconciler) writeForStart(ctx context.Context, want haproxy.State) error {
	files, err := cfgfile.Render(want, string(r.dir))
	if err != nil {
		return err
	}
	if _, checked := r.dir.Loaded(files.Generation); !checked {
		if want, err = r.validate(ctx, want); err != nil {
			return err
		}
		if files, err = cfgfile.Render(want, string(r.dir)); err != nil {
			return err
		}
	}
	r.writer.Wait()
	return r.dir.Write(files, want)
}
