// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"fmt"
	"runtime/debug"

	"podgate/haproxy"
)

// Writer has the folder follow what HAProxy runs, in a goroutine of its own: a
// disk may take long to write, and servers change meanwhile. Its methods may not
// be called concurrently.
type Writer struct {
	dir      Dir
	done     chan outcome // of the write under way, which gets one value; nil if there is no write
	err      error        // of the last write that ended
	started  int          // writes so far
	finished int          // of these, the last that succeeded
	last     *written     // what it wrote; nil while a write is under way, and after one that failed

	reloaded bool // HAProxy was, since the last write began
	doubted  bool // the next write may not rely on last
}

// NewWriter returns a Writer that has nothing to do yet.
func NewWriter(d Dir) *Writer { return &Writer{dir: d} }

// Err is that of the last write that ended.
func (w *Writer) Err() error { return w.err }

// Started is how many writes were started.
func (w *Writer) Started() int { return w.started }

// Finished is which of the writes, counted by Started, was the last to succeed.
func (w *Writer) Finished() int { return w.finished }

// Doubt has the next write compare all files with what they should contain,
// because somebody else may have changed them.
func (w *Writer) Doubt() { w.doubted = true }

// Reloaded has the next write return memory to the system: a reload needs several
// times as much as podgate needs between reloads.
func (w *Writer) Reloaded() { w.reloaded = true }

// outcome is how a write ended.
type outcome struct {
	written *written // nil with an error
	err     error
}

// Busy reports whether a write is under way.
func (w *Writer) Busy() bool {
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

// Wait returns when no write is under way. Call it before anything else writes
// to the folder.
func (w *Writer) Wait() {
	if w.done != nil {
		w.end(<-w.done)
	}
}

func (w *Writer) end(o outcome) {
	w.done, w.err, w.last = nil, o.err, o.written
	if o.err == nil {
		w.finished = w.started
	}
}

// Start begins to write what HAProxy serves. No write may be under way.
func (w *Writer) Start(have haproxy.Running) {
	next := newWritten(have)
	last := w.last
	if w.doubted {
		last, w.doubted = nil, false
	}
	done := make(chan outcome, 1)
	w.done, w.last = done, nil
	w.started++
	reloaded := w.reloaded
	w.reloaded = false
	go func() {
		err := w.dir.writeRunning(next, last)
		if reloaded {
			debug.FreeOSMemory()
		}
		if err != nil {
			done <- outcome{err: fmt.Errorf("write what runs: %w", err)}
			return
		}
		done <- outcome{written: next}
	}()
}

// writeRunning writes the loaded configuration with its present servers and maps.
// Files and sections that are the same as in last, which was written before, are
// kept or copied. A nil last has none.
func (d Dir) writeRunning(next, last *written) error {
	if next.follows(last) {
		if err := next.writeChanges(d, last); !errors.Is(err, errTouched) {
			return err
		}
	}
	return next.writeAll(d)
}
