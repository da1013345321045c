// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"context"
	"fmt"
	"os"
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
	var folders map[string]bool
	add := func() {
		if folders = r.folders(); err == nil {
			for folder := range folders {
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
		case e := <-events.Events:
			if !folders[e.Name] && !folders[filepath.Dir(e.Name)] {
				continue
			}
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

// folders are those to watch for changes of what was read: the folders of the
// files, and of what links among them lead to, where everything counts; and,
// false, those above the paths of the Source, where nothing does but these.
func (r *Reader) folders() map[string]bool {
	folders := map[string]bool{}
	for _, path := range r.source.paths() {
		folders[path] = true // a file too: a folder may come in its place
	}
	if r.source.CAFolder != "" {
		folders[r.source.CAFolder] = true
	}
	seen := map[string]bool{}
	for p := range r.read {
		for _, path := range []string{p.certificate, p.key} {
			if seen[path] {
				continue
			}
			seen[path] = true
			// Of a thousand files in a folder its own links are followed once.
			if folder := filepath.Dir(path); !seen[folder] {
				seen[folder], folders[folder] = true, true
				if target, err := filepath.EvalSymlinks(folder); err == nil {
					folders[target] = true
				}
			}
			if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
				continue
			}
			if target, err := filepath.EvalSymlinks(path); err == nil { // else it is polled for
				folders[filepath.Dir(target)] = true
			}
		}
	}
	for _, path := range r.source.paths() {
		if above := filepath.Dir(path); !folders[above] {
			folders[above] = false
		}
	}
	return folders
}
