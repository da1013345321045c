// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watch sends on changed whenever the content of the file at path is another
// than before, at first than when Watch began: begin it before Load, so that no
// change falls between the two. A send never waits: give changed a capacity of
// one, and a change that nobody has taken yet stands for the next ones too. A
// file that goes away is no change; what takes its place is compared with it.
//
// The folder is watched and not the file, since editors rename a new file over
// the old one and Kubernetes-style mounts swap a link beside it. Every few
// seconds the file is read in any case: for a folder that went away and came
// back, a link whose target lies elsewhere, and a file system without events.
//
// Watch returns nil when ctx ends and leaves changed open. An error means that
// the system has no watch to give and nothing is watched.
func Watch(ctx context.Context, path string, changed chan<- struct{}) error {
	w, err := newWatcher(path)
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	w.run(ctx, 5*time.Second, changed)
	return nil
}

// settle is how long the folder is quiet before the file is read: whoever
// writes it in several steps is done then.
const settle = 100 * time.Millisecond

type watcher struct {
	path   string
	events *fsnotify.Watcher
	sum    [sha256.Size]byte // of the content last seen; zero for none so far
}

// newWatcher takes the content that is there now as seen.
func newWatcher(path string) (*watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watcher{path: path, events: events}
	w.watchFolder()
	w.differs()
	return w, nil
}

// watchFolder begins to watch the folder that is there now; where it is watched
// already nothing changes. An error is a folder that is missing for now.
func (w *watcher) watchFolder() { _ = w.events.Add(filepath.Dir(w.path)) }

// run sends on changed until ctx ends, then closes the watch. The file is read
// every poll, events or not.
func (w *watcher) run(ctx context.Context, poll time.Duration, changed chan<- struct{}) {
	defer w.events.Close()
	settled := time.NewTimer(settle)
	settled.Stop()
	defer settled.Stop()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.events.Events:
			settled.Reset(settle)
			continue
		case <-w.events.Errors: // events were lost
			settled.Reset(settle)
			continue
		case <-ticker.C:
			w.watchFolder()
		case <-settled.C:
		}
		if w.differs() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}

// differs reads the file and reports whether its content is another than at the
// last call. A file that cannot be read does not differ.
func (w *watcher) differs() bool {
	text, err := os.ReadFile(w.path)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(text)
	differs := sum != w.sum
	w.sum = sum
	return differs
}
