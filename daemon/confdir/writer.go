// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"fmt"
	"runtime/debug"

	"podgate/haproxy"
)

// Writer writes what HAProxy serves to the folder, in a goroutine of its own: a disk may
// take long to write, and servers change meanwhile. Its methods may not be called
// concurrently.
type Writer struct {
	dir      Dir
	done     chan outcome // receives the outcome of the running write; nil if no write runs
	err      error        // of the last write that ended
	started  int          // number of writes so far
	finished int          // number of the last write that succeeded
	last     *written     // the result of the last write; nil while a write runs, and after one that failed

	release bool // the next write returns memory to the system
	doubted bool // the next write may not rely on last
}

// NewWriter returns a Writer that has not written yet.
func NewWriter(d Dir) *Writer { return &Writer{dir: d} }

// Err returns the error of the last write that ended.
func (w *Writer) Err() error { return w.err }

// Started returns how many writes were started.
func (w *Writer) Started() int { return w.started }

// Finished returns the number, as Started counts, of the last write that succeeded.
func (w *Writer) Finished() int { return w.finished }

// Doubt makes the next write compare all files with their expected content, because
// another program may have changed them.
func (w *Writer) Doubt() { w.doubted = true }

// Release makes the next write return memory to the system: a reload, and reading back
// another process, need several times the memory that podgate needs in between.
func (w *Writer) Release() { w.release = true }

// outcome is how a write ended.
type outcome struct {
	written *written // nil with an error
	err     error
}

// Busy reports whether a write is running.
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

// Wait waits until no write is running. Call it before any other write to the folder.
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

// Start begins to write what HAProxy serves. No write may be running.
func (w *Writer) Start(have haproxy.Running) {
	next := newWritten(have)
	last := w.last
	if w.doubted {
		last, w.doubted = nil, false
	}
	done := make(chan outcome, 1)
	w.done, w.last = done, nil
	w.started++
	release := w.release
	w.release = false
	go func() {
		err := w.dir.writeRunning(next, last)
		if release {
			debug.FreeOSMemory()
		}
		if err != nil {
			done <- outcome{err: fmt.Errorf("write what runs: %w", err)}
			return
		}
		done <- outcome{written: next}
	}()
}

// writeRunning writes the loaded configuration with its present servers and maps. It
// keeps the files and copies the sections that are the same in last, the previous
// write. If last is nil, it writes everything.
func (d Dir) writeRunning(next, last *written) error {
	if next.follows(last) {
		if err := next.writeChanges(d, last); !errors.Is(err, errTouched) {
			return err
		}
	}
	return next.writeAll(d)
}
