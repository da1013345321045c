// SPDX-License-Identifier: Apache-2.0

// Package filewatch waits for changes of files that other programs write:
// podgate.toml, certificates, the credentials for the API server.
//
// It reads none of them: the caller reads, and decides whether anything changed.
package filewatch

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long there must be no event before the files are read: most
	// programs write a certificate and its key, or a file in several steps, faster.
	settle = 100 * time.Millisecond
	// longestSettle bounds that for files that are written all the time.
	longestSettle = 500 * time.Millisecond
	// poll is how often the files are read without an event: NFS and some FUSE file
	// systems send none. Reading is cheap, and an operator waits 5 seconds before
	// looking for a mistake.
	poll = 5 * time.Second
)

// Watcher waits for changes. It is used by one goroutine, which closes it.
type Watcher struct {
	poll   time.Duration
	notify *fsnotify.Watcher // nil where the system has none to give: files are polled then
	events <-chan fsnotify.Event
	lost   <-chan error // events were dropped
}

// New returns a Watcher. If the system has no inotify instance left, that is
// logged and the Watcher polls.
func New(log *slog.Logger) *Watcher {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("files are polled, not watched", "err", err)
		return &Watcher{poll: poll}
	}
	return &Watcher{poll: poll, notify: notify, events: notify.Events, lost: notify.Errors}
}

// Close releases what the system gave.
func (w *Watcher) Close() {
	if w.notify != nil {
		_ = w.notify.Close()
	}
}

// Wait returns true when the files at paths may have changed since it returned
// last, or returned first, and every few seconds; false when ctx ends. The first
// Wait for a path returns soon, for a change from before it was watched.
//
// A path may be missing, and may lead over symbolic links: replacing one of these
// is a change, as Kubernetes does with "..data". In a folder every file counts.
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

// watch watches the folders of t, and no others. It reports whether one of them
// was not watched before. A folder that is missing is found by its own parent.
func (w *Watcher) watch(t *targets) (added bool) {
	if w.notify == nil {
		return false
	}
	watched := w.notify.WatchList()
	for _, folder := range watched {
		if !t.folders[folder] {
			_ = w.notify.Remove(folder) // an error means that it is gone
		}
	}
	for folder := range t.folders {
		// Again and again, since another folder may have taken its name.
		if w.notify.Add(folder) == nil && !slices.Contains(watched, folder) {
			added = true
		}
	}
	return added
}

// targets are the files and folders whose changes count.
type targets struct {
	folders map[string]bool     // to watch
	files   map[string]bool     // in them; links, and what is missing, too
	whole   map[string]bool     // folders in which every file counts
	places  map[string]location // by path
}

// location is where a path leads, without links.
type location struct {
	path   string
	folder bool
}

func find(paths []string) *targets {
	t := &targets{folders: map[string]bool{}, files: map[string]bool{}, whole: map[string]bool{}, places: map[string]location{}}
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

func (t *targets) matches(name string) bool {
	name = filepath.Clean(name)
	return t.files[name] || t.whole[name] || t.whole[filepath.Dir(name)]
}

// resolve returns where path leads, and adds every link on the way and what is
// missing.
func (t *targets) resolve(path string) location {
	if known, ok := t.places[path]; ok {
		return known
	}
	parent := filepath.Dir(path)
	if parent == path { // "/" or "."
		return location{path, true}
	}
	t.places[path] = location{path, false} // a link that leads back here leads nowhere
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
	t.places[path] = l
	return l
}
