// SPDX-License-Identifier: Apache-2.0

// Package filewatch waits for changes of files that other programs write:
// podgate.toml, certificates, and the credentials for the API server.
//
// It does not read the files: the caller reads them and compares their content.
package filewatch

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is the time without an event after which Wait returns: most programs take
	// less time between two writes of a file, or of a certificate and its key.
	settle = 100 * time.Millisecond
	// longestSettle is the maximum time from the first event until Wait returns, for
	// files that are written continuously.
	longestSettle = 500 * time.Millisecond
	// poll is the time after which Wait returns without an event: NFS and some FUSE file
	// systems send none. Reading is cheap, and an operator waits 5 seconds before
	// looking for a mistake.
	poll = 5 * time.Second
)

// Watcher waits for changes. It may not be used concurrently. Its user closes it.
type Watcher struct {
	poll    time.Duration
	notify  *fsnotify.Watcher // nil if the system has no inotify instance left
	events  <-chan fsnotify.Event
	lost    <-chan error           // events were dropped
	watched map[string]os.FileInfo // the folders, as they were when notify got them
}

// New returns a Watcher. If the system has no inotify instance left, New logs that and
// the Watcher polls.
func New(log *slog.Logger) *Watcher {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("files are polled, not watched", "err", err)
		return &Watcher{poll: poll}
	}
	return &Watcher{poll: poll, notify: notify, events: notify.Events, lost: notify.Errors, watched: map[string]os.FileInfo{}}
}

// Close releases the inotify instance.
func (w *Watcher) Close() {
	if w.notify != nil {
		_ = w.notify.Close()
	}
}

// Wait returns true when the files at paths may have changed since its last call, and
// every few seconds. It returns false when ctx ends. The first Wait for a path returns
// soon, because the file may have changed before it was watched.
//
// A path may be missing. It may contain symbolic links: replacing one of them is a
// change, as Kubernetes does with "..data". If a path is a folder, a change of any file
// in it is a change.
func (w *Watcher) Wait(ctx context.Context, paths ...string) bool {
	t := find(paths)
	timer := time.NewTimer(w.poll)
	defer timer.Stop()
	var last time.Time // the latest time to return at; zero before the first event
	changed := func() {
		if last.IsZero() {
			last = time.Now().Add(longestSettle)
		}
		timer.Reset(min(settle, time.Until(last)))
	}
	if w.watch(t) {
		changed()
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case e := <-w.events:
			if t.matches(e.Name) {
				changed()
			}
		case <-w.lost:
			changed()
		}
	}
}

// watch watches exactly the folders of t. It reports whether one of them was not
// watched before. It ignores missing folders: t contains their parents, too.
func (w *Watcher) watch(t *targets) (added bool) {
	if w.notify == nil {
		return false
	}
	list := w.notify.WatchList()
	for _, folder := range list {
		if !t.folders[folder] {
			_ = w.notify.Remove(folder) // fails if the folder was removed
		}
	}
	for folder := range t.folders {
		info, err := os.Stat(folder)
		if err != nil {
			continue
		}
		// A folder may have been replaced by another of the same name. A folder that is
		// still watched must not be added: fsnotify would drop the events of the old
		// folder that it has not read yet.
		if slices.Contains(list, folder) && os.SameFile(info, w.watched[folder]) {
			continue
		}
		if w.notify.Add(folder) == nil {
			w.watched[folder], added = info, true
		}
	}
	maps.DeleteFunc(w.watched, func(folder string, _ os.FileInfo) bool { return !t.folders[folder] })
	return added
}

// targets are the files and folders to watch.
type targets struct {
	folders  map[string]bool     // whose events are needed
	files    map[string]bool     // in these folders, with links and missing files
	whole    map[string]bool     // folders in which every file is watched
	resolved map[string]location // by path
}

// location is a path without symbolic links.
type location struct {
	path   string
	folder bool
}

func find(paths []string) *targets {
	t := &targets{folders: map[string]bool{}, files: map[string]bool{}, whole: map[string]bool{}, resolved: map[string]location{}}
	for _, path := range paths {
		l := t.resolve(filepath.Clean(path))
		t.add(l.path)
		if l.folder {
			t.folders[l.path], t.whole[l.path] = true, true
		}
	}
	return t
}

func (t *targets) add(path string) {
	t.folders[filepath.Dir(path)], t.files[path] = true, true
}

// matches reports whether an event for name may be a change. One for a watched
// folder itself means that it was removed, moved or replaced.
func (t *targets) matches(name string) bool {
	name = filepath.Clean(name)
	return t.files[name] || t.folders[name] || t.whole[filepath.Dir(name)]
}

// resolve follows the symbolic links in path. It adds each of these links, and the
// first part of path that is missing.
func (t *targets) resolve(path string) location {
	if known, ok := t.resolved[path]; ok {
		return known
	}
	parent := filepath.Dir(path)
	if parent == path { // "/" or "."
		return location{path, true}
	}
	t.resolved[path] = location{path, false} // ends a cycle of links
	l := location{path: filepath.Join(t.resolve(parent).path, filepath.Base(path))}
	info, err := os.Lstat(l.path)
	l.folder = err == nil && info.IsDir()
	if err != nil || info.Mode()&os.ModeSymlink != 0 {
		t.add(l.path)
		if target, err := os.Readlink(l.path); err == nil {
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(l.path), target)
			}
			l = t.resolve(filepath.Clean(target))
		}
	}
	t.resolved[path] = l
	return l
}
