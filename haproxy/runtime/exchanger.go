// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"iter"
)

// exchanger has the methods of a Client and a Session, which query and change the
// worker that serves.
type exchanger struct {
	folder string
	worker *worker
	pinned *pinned // connection to one process; nil for any process that accepts a connection
	known  *limits // of the process of a Session, zero until they are needed; nil for a Client
}

// unpinned returns an exchanger for any process that accepts a connection.
func (x exchanger) unpinned() exchanger {
	x.pinned = nil
	return x
}

// ask calls do with the asker of the worker. Without a pinned process it calls do again
// with the asker of the master CLI if the admin socket does not answer.
func ask[T any](ctx context.Context, x exchanger, do func(asker) (T, error)) (T, error) {
	if x.pinned == nil {
		return onWorker(ctx, x.worker, func(s socket) (T, error) { return do(s.exchange) })
	}
	if err := x.pinned.err; err != nil {
		var none T
		return none, err
	}
	answer, err := do(x.pinned.exchange)
	if errors.Is(err, context.DeadlineExceeded) { // after any other error the process has ended, and another one may answer
		x.worker.fallBack(ctx, err)
	}
	return answer, err
}

// exchange sends the commands, which fit in one line, and returns the reply to each.
func (x exchanger) exchange(ctx context.Context, commands ...string) ([]string, error) {
	return ask(ctx, x, func(ask asker) ([]string, error) { return collect(ctx, ask, commands) })
}

// exchangeAll is exchange for any number of commands.
func (x exchanger) exchangeAll(ctx context.Context, commands []string) ([]string, error) {
	all, err := x.fitting(ctx, commands)
	if err != nil {
		return nil, err
	}
	var replies []string
	for line := range all {
		part, err := x.exchange(ctx, line...)
		if err != nil {
			return nil, err
		}
		replies = append(replies, part...)
	}
	return replies, nil
}

// fitting yields the commands in as few parts as possible that fit in one line.
func (x exchanger) fitting(ctx context.Context, commands []string) (iter.Seq[[]string], error) {
	most := limitsOf(smallestBuffer).line // fits without a question to HAProxy
	if lineSize(commands) > most {
		l, err := x.limits(ctx)
		if err != nil {
			return nil, err
		}
		most = l.line
	}
	return func(yield func([]string) bool) {
		for len(commands) > 0 {
			n, size := 1, lineSize(commands[:1])
			for n < len(commands) && size+cost(commands[n]) <= most {
				size += cost(commands[n])
				n++
			}
			if !yield(commands[:n]) {
				return
			}
			commands = commands[n:]
		}
	}, nil
}

// errTooLarge is returned for a command that is larger than the buffers of HAProxy. It
// was not sent.
var errTooLarge = errors.New("it is larger than HAProxy reads at run time (tune.bufsize)")

// exchangePayload sends a command with a payload, always on a new connection. The error
// is errTooLarge if the payload does not fit in a buffer of HAProxy.
func (x exchanger) exchangePayload(ctx context.Context, command, payload string) (string, error) {
	if err := x.fits(ctx, command, payload); err != nil {
		return "", err
	}
	return onWorker(ctx, x.worker, func(s socket) (string, error) { return s.exchangePayload(ctx, command, payload) })
}

// fits returns errTooLarge if a command with a payload does not fit in a buffer of
// HAProxy.
func (x exchanger) fits(ctx context.Context, command, payload string) error {
	size := len(payloadText("", command, payload))
	if size <= limitsOf(smallestBuffer).text {
		return nil
	}
	l, err := x.limits(ctx)
	if err == nil && size > l.text {
		err = errTooLarge
	}
	return err
}
