// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"sync"
	"time"

	"podgate/daemon/admin"
)

// progressInterval is how often the line of progress is replaced.
const progressInterval = 200 * time.Millisecond

// terminal shows a line of progress below the log. Its methods may be called
// concurrently.
type terminal struct {
	mu    sync.Mutex
	out   io.Writer
	width func() int
	line  string // shown now; "" for none
}

const eraseLine = "\r\x1b[K"

// Write prints lines of the log.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.line == "" {
		return t.out.Write(p)
	}
	if _, err := io.WriteString(t.out, eraseLine+string(p)+t.line); err != nil {
		return 0, err
	}
	return len(p), nil
}

// show replaces the line; "" removes it. A line that the terminal would wrap is cut,
// because it could not be erased.
func (t *terminal) show(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if runes := []rune(line); len(runes) >= t.width() {
		line = string(runes[:max(0, t.width()-1)])
	}
	if line == t.line {
		return
	}
	t.line = line
	_, _ = io.WriteString(t.out, eraseLine+line) // fails if the terminal is closed
}

// follow shows the progress until HAProxy is in sync, or ctx ends.
func (t *terminal) follow(ctx context.Context, s *admin.Server) {
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	defer t.show("")
	for {
		progress := admin.Progress(s.View())
		if progress == "" {
			return
		}
		t.show("podgate " + progress)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
