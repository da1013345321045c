// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

const (
	// writeDelay is how long changes that HAProxy serves already are gathered before
	// they are written to the files.
	writeDelay = time.Second
	// writePause is when to look again whether the running write has ended.
	writePause = 50 * time.Millisecond
)

// writeSoon makes writeFiles write what HAProxy serves, after writeDelay at most.
func (r *Reconciler) writeSoon() {
	if r.writeAt.IsZero() {
		r.writeAt = r.now().Add(writeDelay)
	}
}

// writeFiles starts to write what HAProxy serves to the files, if that is due and known.
// It does not wait for the disk, and returns the error of the previous write.
func (r *Reconciler) writeFiles() error {
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

// writeForStart writes want while HAProxy does not answer, for its next start. It does
// not write a configuration with which HAProxy would not start.
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
