// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"runtime/debug"

	"podgate/haproxy"
)

// writer has the folder follow what runs, in a goroutine of its own: a disk may
// take long to say that it has something, and pods come and go meanwhile.
type writer struct {
	folder folder
	done   chan outcome // of the write under way, a value and no more; nil while there is none
	err    error        // of the last write that ended
	writes int          // begun so far
	wrote  int          // of these, the last that ended well
	last   *written     // what it wrote; nil while a write is under way, and where that went wrong

	reloaded bool // HAProxy was, since the last write began
	doubted  bool // the next write is not to go by last
}

// outcome is what became of a write.
type outcome struct {
	written *written // nil with an error
	err     error
}

// busy reports whether a write is under way.
func (w *writer) busy() bool {
	if w.done == nil {
		return false
	}
	select {
	case o := <-w.done:
		w.end(o)
	default:
	}
	return w.done != nil
}

// wait returns when no write is under way: nobody else may write till then.
func (w *writer) wait() {
	if w.done != nil {
		w.end(<-w.done)
	}
}

func (w *writer) end(o outcome) {
	w.done, w.err, w.last = nil, o.err, o.written
	if o.err == nil {
		w.wrote = w.writes
	}
}

// start begins to write what runs. No write may be under way.
func (w *writer) start(have haproxy.Running) {
	next := newWritten(have)
	last := w.last
	if w.doubted {
		last, w.doubted = nil, false
	}
	done := make(chan outcome, 1)
	w.done, w.last = done, nil
	w.writes++
	reloaded := w.reloaded
	w.reloaded = false
	go func() {
		err := w.folder.writeRunning(next, last)
		if reloaded {
			debug.FreeOSMemory() // what a reload took, several times what is in use
		}
		if err != nil {
			done <- outcome{err: fmt.Errorf("write what runs: %w", err)}
			return
		}
		done <- outcome{written: next}
	}()
}

// writeRunning writes the loaded configuration with its present servers and
// maps. What is as in last, which was written before, is left alone or copied; nil
// is for nothing.
func (f folder) writeRunning(next, last *written) error {
	if next.follows(last) {
		if err := next.writeChanges(f, last); !errors.Is(err, errTouched) {
			return err
		}
	}
	return next.writeAll(f)
}
