// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"bytes"
	"sync"

	"podgate/daemon"
)

// Log is a text that may be read while it is written. The zero value is empty.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns everything since Reset.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Reset empties it.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// passes are the passes of podgate that changed something.
type passes struct {
	mu  sync.Mutex
	all []daemon.Pass
}

func (p *passes) add(pass daemon.Pass) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, pass)
}

// Reloads returns the reasons of all reloads so far, a text for each reload.
func (e *Edge) Reloads() (reasons []string) {
	e.passes.mu.Lock()
	defer e.passes.mu.Unlock()
	for _, pass := range e.passes.all {
		if len(pass.Reload) > 0 {
			reasons = append(reasons, pass.Reload.String())
		}
	}
	return reasons
}

// Drift returns how many differences podgate has found that other programs had made.
func (e *Edge) Drift() (count int) {
	e.passes.mu.Lock()
	defer e.passes.mu.Unlock()
	for _, pass := range e.passes.all {
		count += pass.Drift
	}
	return count
}
