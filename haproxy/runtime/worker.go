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
		_, w.death = probe.exchange(ctx, []string{"show info"})
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
	if _, masterErr := master.exchange(ctx, []string{"show info"}); masterErr == nil {
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

func (w *worker) exchange(ctx context.Context, commands []string) ([]string, error) {
	if s := sessionOf(ctx); s != nil {
		if s.err != nil {
			return nil, s.err
		}
		replies, err := s.exchange(ctx, commands)
		if errors.Is(err, context.DeadlineExceeded) { // else its process has ended, and another may answer
			w.doubt(ctx, err)
		}
		return replies, err
	}
	return onWorker(ctx, w, func(s socket) ([]string, error) { return s.exchange(ctx, commands) })
}

func (w *worker) exchangePayload(ctx context.Context, command, payload string) (string, error) {
	return onWorker(ctx, w, func(s socket) (string, error) { return s.exchangePayload(ctx, command, payload) })
}

// exchangeAll is exchange for any number of commands, in as few lines as hold
// them.
func (w *worker) exchangeAll(ctx context.Context, commands []string) ([]string, error) {
	var replies []string
	for len(commands) > 0 {
		n, size := 1, len(separator)+1+cost(commands[0])
		for n < len(commands) && size+cost(commands[n]) <= maxLine {
			size += cost(commands[n])
			n++
		}
		part, err := w.exchange(ctx, commands[:n])
		if err != nil {
			return nil, err
		}
		replies = append(replies, part...)
		commands = commands[n:]
	}
	return replies, nil
}
