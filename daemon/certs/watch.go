// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long the folders are quiet before they are read: whoever
	// writes a certificate and then its key is done then.
	settle = 100 * time.Millisecond
	// patience bounds that, for folders that are never quiet.
	patience = 500 * time.Millisecond
	// doubtful is when what looks broken, or gone, is looked at again.
	doubtful = 400 * time.Millisecond
	// poll is how often the files are looked at in any case: certificates end,
	// and not every file system tells of changes.
	poll = 5 * time.Second
)

// Watch sends what there is on out, at first what first holds, whenever it
// changed, until ctx ends, and returns nil then. The reader is Watch's own
// meanwhile. Out must have a capacity of 1 and no other sender: a Set that
// nobody has taken yet is replaced by the newer one. Watch does not close it.
// An error means that the system has no watches to give; the files are looked
// at every few seconds all the same, until ctx ends.
func Watch(ctx context.Context, r *Reader, first Set, out chan Set) error {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		err = fmt.Errorf("watch certificates: %w", err)
		events = &fsnotify.Watcher{} // whose channels are nil: nothing ever comes
	} else {
		defer events.Close()
	}
	add := func() {
		if err == nil {
			for _, folder := range r.folders() {
				_ = events.Add(folder) // one that is missing is polled for
			}
		}
	}
	add()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	due := time.NewTimer(0) // what changed before the watch began
	defer due.Stop()
	var since time.Time // of the first event that was not read yet
	for {
		select {
		case <-ctx.Done():
			return err
		case <-events.Events:
			if since.IsZero() {
				since = time.Now()
			}
			due.Reset(min(settle, max(0, time.Until(since.Add(patience)))))
			continue
		case <-events.Errors: // events were lost
			due.Reset(settle)
			continue
		case <-ticker.C:
		case <-due.C:
		}
		since = time.Time{}
		s, again := r.Read()
		if again {
			due.Reset(doubtful)
		}
		add()
		if !reflect.DeepEqual(first, s) {
			first = s
			offer(out, s)
		}
	}
}

// offer sends s, in the place of an older Set if there is one.
func offer(out chan Set, s Set) {
	for {
		select {
		case out <- s:
			return
		default:
		}
		select {
		case <-out:
		default:
		}
	}
}

// folders are those in which a change of what was read would show: the folders
// of the files, and of what links among them lead to.
func (r *Reader) folders() []string {
	seen := map[string]bool{}
	var folders []string
	add := func(folder string) {
		if folder != "" && folder != "." && !seen[folder] {
			seen[folder] = true
			folders = append(folders, folder)
		}
	}
	for _, path := range r.source.paths() {
		add(filepath.Dir(path))
		add(path) // a file too: a folder may come in its place
	}
	add(r.source.CAFolder)
	for p := range r.read {
		for _, path := range []string{p.certificate, p.key} {
			add(filepath.Dir(path))
			if target, err := filepath.EvalSymlinks(path); err == nil {
				add(filepath.Dir(target))
			}
		}
	}
	return folders
}
