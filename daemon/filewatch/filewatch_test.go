// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
)

const never = time.Hour

func TestWaitReturnsAfterAChange(t *testing.T) {
	for _, tt := range []struct {
		name   string
		setup  func(t *testing.T, folder string) (path string)
		change func(t *testing.T, folder string)
	}{
		{
			name:   "a file written in place",
			setup:  plainFile,
			change: func(t *testing.T, folder string) { write(t, filepath.Join(folder, "podgate.toml"), "new") },
		},
		{
			name:  "a new file renamed over the old one, as editors do",
			setup: plainFile,
			change: func(t *testing.T, folder string) {
				write(t, filepath.Join(folder, "podgate.toml~"), "new")
				rename(t, filepath.Join(folder, "podgate.toml~"), filepath.Join(folder, "podgate.toml"))
			},
		},
		{
			name:   "a file that was missing",
			setup:  func(_ *testing.T, folder string) string { return filepath.Join(folder, "podgate.toml") },
			change: func(t *testing.T, folder string) { write(t, filepath.Join(folder, "podgate.toml"), "new") },
		},
		{
			name: "a file whose folder was missing too",
			setup: func(_ *testing.T, folder string) string {
				return filepath.Join(folder, "etc", "podgate", "podgate.toml")
			},
			change: func(t *testing.T, folder string) {
				write(t, filepath.Join(folder, "etc", "podgate", "podgate.toml"), "new")
			},
		},
		{
			name: "a link beside the file swapped, as Kubernetes-style mounts do",
			setup: func(t *testing.T, folder string) string {
				write(t, filepath.Join(folder, "..2026_1", "podgate.toml"), "old")
				link(t, "..2026_1", filepath.Join(folder, "..data"))
				link(t, "..data/podgate.toml", filepath.Join(folder, "podgate.toml"))
				return filepath.Join(folder, "podgate.toml")
			},
			change: func(t *testing.T, folder string) {
				write(t, filepath.Join(folder, "..2026_2", "podgate.toml"), "new")
				link(t, "..2026_2", filepath.Join(folder, "..data_tmp"))
				rename(t, filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data"))
			},
		},
		{
			name: "the target of a link into another folder",
			setup: func(t *testing.T, folder string) string {
				write(t, filepath.Join(folder, "elsewhere", "podgate.toml"), "old")
				write(t, filepath.Join(folder, "etc", "other"), "")
				link(t, "../elsewhere/podgate.toml", filepath.Join(folder, "etc", "podgate.toml"))
				return filepath.Join(folder, "etc", "podgate.toml")
			},
			change: func(t *testing.T, folder string) { write(t, filepath.Join(folder, "elsewhere", "podgate.toml"), "new") },
		},
		{
			name: "a folder that is removed and added again",
			setup: func(t *testing.T, folder string) string {
				write(t, filepath.Join(folder, "etc", "podgate.toml"), "old")
				return filepath.Join(folder, "etc", "podgate.toml")
			},
			change: func(t *testing.T, folder string) {
				if err := os.RemoveAll(filepath.Join(folder, "etc")); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(folder, "etc", "podgate.toml"), "new")
			},
		},
		{
			name: "a new file in a folder",
			setup: func(t *testing.T, folder string) string {
				write(t, filepath.Join(folder, "certificates", "a.pem"), "old")
				return filepath.Join(folder, "certificates")
			},
			change: func(t *testing.T, folder string) { write(t, filepath.Join(folder, "certificates", "b.pem"), "new") },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			path := tt.setup(t, folder)
			w := newWatcher(t, never)
			wait(t, w, path) // because it is watched from now on
			tt.change(t, folder)
			wait(t, w, path)

			// The Watcher goes on.
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				path = filepath.Join(path, "b.pem")
			}
			waitUntilQuiet(t, w, path)
			write(t, path+"~", "newer")
			rename(t, path+"~", path)
			wait(t, w, path)
		})
	}
}

func TestWaitPollsWithoutEvents(t *testing.T) {
	w := &Watcher{poll: time.Millisecond}
	defer w.Close()
	for range 3 {
		wait(t, w, filepath.Join(t.TempDir(), "podgate.toml"))
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if w := newWatcher(t, never); w.Wait(ctx, plainFile(t, t.TempDir())) {
		t.Error("got true, want false when the context has ended")
	}
}

// TestABusyFileIsRead has a file written all the time, which would be read never
// if each write began the wait again.
func TestABusyFileIsRead(t *testing.T) {
	events := make(chan fsnotify.Event)
	w := &Watcher{poll: never, events: events}
	path := plainFile(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			select {
			case events <- fsnotify.Event{Name: path}:
			case <-ctx.Done():
			}
		}
	}()
	wait(t, w, path)
}

// TestOnlyWhatCountsIsWatched has the folder above one of certificates, which may
// be /tmp or /var/log, count for nothing but that folder.
func TestOnlyWhatCountsIsWatched(t *testing.T) {
	dir := t.TempDir()
	at := func(elems ...string) string { return filepath.Join(append([]string{dir}, elems...)...) }
	write(t, at("archive", "linked.pem"), "")
	write(t, at("single", "one.pem"), "")
	write(t, at("certificates", "two.pem"), "")
	link(t, "../archive/linked.pem", at("certificates", "linked.pem"))
	link(t, "itself", at("itself"))
	got := map[string]bool{}
	targets := find([]string{at("certificates"), at("certificates", "linked.pem"), at("single", "one.pem"), at("gone", "three.pem"), at("itself")})
	for _, name := range []string{
		"certificates", "certificates/any.pem", "archive/linked.pem", "archive/other.pem", "single/one.pem", "single/other.pem",
		"gone", "gone/three.pem", "itself", "other", ".",
	} {
		got[name] = targets.matches(at(name))
	}
	want := map[string]bool{
		"certificates": true, "certificates/any.pem": true, "archive/linked.pem": true, "archive/other.pem": false, "single/one.pem": true, "single/other.pem": false,
		"gone": true, "gone/three.pem": true, "itself": true, "other": false, ".": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	folders := map[string]bool{dir: true, at("certificates"): true, at("archive"): true, at("single"): true, at("gone"): true}
	if diff := cmp.Diff(folders, targets.folders); diff != "" {
		t.Errorf("folders that are watched (-want +got):\n%s", diff)
	}
}

func BenchmarkFind1000(b *testing.B) {
	dir := b.TempDir()
	paths := []string{dir}
	for i := range 1000 {
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%d.pem", i)))
		if err := os.WriteFile(paths[i+1], []byte("x"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		find(paths)
	}
}

func newWatcher(t *testing.T, poll time.Duration) *Watcher {
	t.Helper()
	var logs bytes.Buffer
	w := New(slog.New(slog.NewTextHandler(&logs, nil)))
	if logs.Len() > 0 {
		t.Fatal(logs.String())
	}
	w.poll = poll
	t.Cleanup(w.Close)
	return w
}

func wait(t *testing.T, w *Watcher, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if !w.Wait(ctx, path) {
		t.Fatal("no change was found")
	}
}

// waitUntilQuiet waits for the rest of what was changed.
func waitUntilQuiet(t *testing.T, w *Watcher, path string) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 2*settle)
		changed := w.Wait(ctx, path)
		cancel()
		if !changed {
			return
		}
	}
}

func plainFile(t *testing.T, folder string) string {
	t.Helper()
	path := filepath.Join(folder, "podgate.toml")
	write(t, path, "old")
	return path
}

// write writes in place and makes the folder where it is missing.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
