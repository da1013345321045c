// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"podgate/daemon/edgetest"
)

const (
	// watchPause is the time between two looks at the servers that are awaited.
	watchPause = time.Millisecond
	// watchMost is how many servers fit in one line to HAProxy.
	watchMost = 100
)

// serverWatch measures how long servers take until they are in service. It asks HAProxy
// itself, because a request reaches a new server only in its turn, and costs as much
// processor time as the change that is measured.
type serverWatch struct {
	mu      sync.Mutex
	waiting []awaited
	ended   bool // no server will be added

	lags []time.Duration
}

// awaited is a server that HAProxy is to get.
type awaited struct {
	server string // "backend/server"
	began  time.Time
}

func (w *serverWatch) add(a awaited) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, a)
}

// end makes run return when no server is awaited any more.
func (w *serverWatch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
}

// run looks at the servers until end was called and all of them are in service, or until
// ctx ends.
func (w *serverWatch) run(ctx context.Context, e *edge) error {
	for edgetest.Pause(ctx, watchPause) {
		w.mu.Lock()
		some, ended := slices.Clone(w.waiting[:min(len(w.waiting), watchMost)]), w.ended
		w.mu.Unlock()
		if len(some) == 0 {
			if ended {
				return nil
			}
			continue
		}
		if time.Since(some[0].began) > answerTimeout {
			return fmt.Errorf("server %s is not in service after %s", some[0].server, answerTimeout)
		}
		if err := w.look(e, some); err != nil {
			return err
		}
	}
	return nil
}

// look takes those of the servers that have a weight from waiting (management.txt "get
// weight": "1 (initial 1)"). podgate enables a server in the line that adds it.
func (w *serverWatch) look(e *edge, some []awaited) error {
	commands := make([]string, len(some))
	for i, a := range some {
		commands[i] = "get weight " + a.server
	}
	text, err := e.command(commands...)
	if err != nil {
		return err
	}
	now := time.Now()
	replies := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return line == "" })
	if len(replies) != len(some) {
		return fmt.Errorf("%d replies to %d commands: %q", len(replies), len(some), text)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, a := range some {
		if !strings.HasPrefix(replies[i], "No such") {
			w.lags = append(w.lags, now.Sub(a.began))
			w.waiting = slices.DeleteFunc(w.waiting, func(x awaited) bool { return x == a })
		}
	}
	return nil
}
