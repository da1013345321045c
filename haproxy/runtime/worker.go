// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"syscall"
	"time"
)

const (
	// currentWorker is the prefix of commands on the master CLI for the worker that
	// serves (management.txt "master CLI").
	currentWorker = "@1 "
	// deadPause is the time until an admin socket that did not answer is tried again.
	deadPause = 10 * time.Second
	// probeTimeout limits that next attempt.
	probeTimeout = 500 * time.Millisecond
	// fallBackTimeout limits the attempts to open a Session on the admin socket and, after
	// that fails, to reach the master CLI.
	fallBackTimeout = 2 * time.Second
)

// worker is the process that serves. It accepts commands on its admin socket and
// through the master CLI, which is used while the admin socket does not answer: 3.2 and
// 3.4 lose the admin socket after two failed reloads until the next successful one, and
// its file may be removed.
type worker struct {
	admin, master socket

	mu       sync.Mutex
	adminErr error     // why the admin socket is not used; nil while it is
	tryAt    time.Time // when it is tried again
}

// onWorker calls do with the admin socket and, if that does not answer, with the master
// CLI, so that do may be executed twice. If neither answers it returns the error of the
// admin socket.
func onWorker[T any](ctx context.Context, w *worker, do func(socket) (T, error)) (T, error) {
	dead := w.isDead(ctx)
	if dead {
		if reply, err := do(w.master); err == nil {
			return reply, nil
		}
	}
	reply, err := do(w.admin)
	if err == nil {
		w.setAdminError(nil)
		return reply, nil
	}
	if dead || ctx.Err() != nil || !isUnanswered(err) {
		return reply, err
	}
	instead, masterErr := do(w.master)
	if masterErr != nil {
		return reply, err
	}
	w.setAdminError(err)
	return instead, nil
}

// isDead reports whether the admin socket did not answer. After deadPause it tries the
// socket again.
func (w *worker) isDead(ctx context.Context) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.adminErr != nil && !time.Now().Before(w.tryAt) {
		probe := w.admin
		probe.timeout = probeTimeout
		w.adminErr = probe.answers(ctx)
		w.tryAt = time.Now().Add(deadPause)
	}
	return w.adminErr != nil
}

// setAdminError sets the error because of which the admin socket is not used; nil if it
// answers.
func (w *worker) setAdminError(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.adminErr = err
	w.tryAt = time.Now().Add(deadPause)
}

// fallBack uses the master CLI from now on, because of err, if the master answers. An
// admin socket that hangs would cost a timeout each time it is tried.
func (w *worker) fallBack(ctx context.Context, err error) {
	if ctx.Err() != nil || !isUnanswered(err) {
		return
	}
	master := w.master
	master.timeout = fallBackTimeout
	if master.answers(ctx) == nil {
		w.setAdminError(err)
	}
}

// isUnanswered reports whether an error means that no process answers on the socket.
// Errors of a command and missing permissions do not.
func isUnanswered(err error) bool {
	for _, cause := range []error{fs.ErrNotExist, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, context.DeadlineExceeded, errCut} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// answers returns the error of a command that costs HAProxy nothing; nil if the socket
// answers.
func (s socket) answers(ctx context.Context) error {
	return s.exchange(ctx, []string{"show info"}, func(int, []byte) error { return nil })
}
