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
	// currentWorker leads a command of the master CLI to the worker that serves
	// (management.txt "master CLI").
	currentWorker = "@1 "
	// deadPause is how long an admin socket that was dead is not tried again.
	deadPause = 10 * time.Second
	// probeTimeout bounds how long it is then waited for.
	probeTimeout = 500 * time.Millisecond
	// doubtTimeout bounds the wait for an answer that costs HAProxy nothing, where
	// one of the two sockets may stand in for the other.
	doubtTimeout = 2 * time.Second
)

// worker is the process that serves, which takes commands on its admin socket
// and, where that one is dead, through the master CLI: 3.2 and 3.4 lose the admin
// socket by two failed reloads until the next good one, and anybody may remove
// its file.
type worker struct {
	admin, master socket

	mu    sync.Mutex
	death error     // why the admin socket is not used; nil while it is
	tryAt time.Time // when it is tried again
}

// onWorker does something on the admin socket, or else on the master's. What was
// begun on a dead one may so be done twice. Where neither answers the error is
// the admin socket's.
func onWorker[T any](ctx context.Context, w *worker, do func(socket) (T, error)) (T, error) {
	dead := w.isDead(ctx)
	if dead {
		if reply, err := do(w.master); err == nil {
			return reply, nil
		}
	}
	reply, err := do(w.admin)
	if err == nil {
		w.remember(nil)
		return reply, nil
	}
	if dead || ctx.Err() != nil || !nobodyAnswers(err) {
		return reply, err
	}
	instead, masterErr := do(w.master)
	if masterErr != nil {
		return reply, err
	}
	w.remember(err)
	return instead, nil
}

// isDead reports whether the admin socket was found dead. Now and then it looks
// whether it still is.
func (w *worker) isDead(ctx context.Context) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.death != nil && !time.Now().Before(w.tryAt) {
		probe := w.admin
		probe.timeout = probeTimeout
		w.death = probe.answers(ctx)
		w.tryAt = time.Now().Add(deadPause)
	}
	return w.death != nil
}

// remember takes note of how the admin socket did.
func (w *worker) remember(death error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.death = death
	w.tryAt = time.Now().Add(deadPause)
}

// doubt takes the admin socket for dead because of err, if the master answers: one
// that hangs would cost a timeout each time it is tried.
func (w *worker) doubt(ctx context.Context, err error) {
	if ctx.Err() != nil || !nobodyAnswers(err) {
		return
	}
	master := w.master
	master.timeout = doubtTimeout
	if master.answers(ctx) == nil {
		w.remember(err)
	}
}

// nobodyAnswers reports whether an error is of the socket, and neither of what
// was asked nor of who may ask.
func nobodyAnswers(err error) bool {
	for _, cause := range []error{fs.ErrNotExist, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, context.DeadlineExceeded, errCut} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// answers returns why the socket does not answer what costs HAProxy nothing.
func (s socket) answers(ctx context.Context) error {
	return s.exchange(ctx, []string{"show info"}, func(int, []byte) error { return nil })
}
