// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWatchTellsAChangedContent(t *testing.T) {
	const never = time.Hour
	tests := []struct {
		name   string
		poll   time.Duration
		setup  func(t *testing.T, folder string) (path string)
		change func(t *testing.T, folder string)
	}{
		{
			name:  "a file written in place",
			poll:  never,
			setup: plainFile,
			change: func(t *testing.T, folder string) {
				write(t, filepath.Join(folder, "podgate.toml"), "new")
			},
		},
		{
			name:  "a new file renamed over the old one, as editors do",
			poll:  never,
			setup: plainFile,
			change: func(t *testing.T, folder string) {
				write(t, filepath.Join(folder, "podgate.toml~"), "new")
				rename(t, filepath.Join(folder, "podgate.toml~"), filepath.Join(folder, "podgate.toml"))
			},
		},
		{
			name:  "a file that was missing",
			poll:  never,
			setup: func(_ *testing.T, folder string) string { return filepath.Join(folder, "podgate.toml") },
			change: func(t *testing.T, folder string) {
				write(t, filepath.Join(folder, "podgate.toml"), "new")
			},
		},
		{
			name: "a link beside the file swapped, as Kubernetes-style mounts do",
			poll: never,
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
			poll: 10 * time.Millisecond,
			setup: func(t *testing.T, folder string) string {
				write(t, filepath.Join(folder, "elsewhere", "podgate.toml"), "old")
				write(t, filepath.Join(folder, "etc", "other"), "")
				link(t, "../elsewhere/podgate.toml", filepath.Join(folder, "etc", "podgate.toml"))
				return filepath.Join(folder, "etc", "podgate.toml")
			},
			change: func(t *testing.T, folder string) {
				write(t, filepath.Join(folder, "elsewhere", "podgate.toml"), "new")
			},
		},
		{
			name: "a folder that is removed and comes back",
			poll: 10 * time.Millisecond,
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			path := tt.setup(t, folder)
			changed := start(t, path, tt.poll)
			tt.change(t, folder)
			wait(t, changed)

			// The watch lives on.
			write(t, path+"~", "newer")
			rename(t, path+"~", path)
			wait(t, changed)
		})
	}
}

func TestWatchComparesContentNotEvents(t *testing.T) {
	path := plainFile(t, t.TempDir())
	w := &watcher{path: path}
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"the first content is new", func() {}, true},
		{"the same content written again is not", func() { write(t, path, "old") }, false},
		{"other content is", func() { write(t, path, "new") }, true},
		{"a file that goes away is not", func() { os.Remove(path) }, false},
		{"nor is one that comes back as it was", func() { write(t, path, "new") }, false},
	} {
		step.do()
		if got := w.differs(); got != step.want {
			t.Errorf("%s: got %v, want %v", step.name, got, step.want)
		}
	}
}

func TestWatchDoesNotWaitForItsReader(t *testing.T) {
	path := plainFile(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Watch(ctx, path, make(chan struct{})) }()
	write(t, path, "new")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v, want nil when the context ends", err)
	}
}

// start watches path until the test ends. When it returns, the content that is
// there has been seen.
func start(t *testing.T, path string, poll time.Duration) <-chan struct{} {
	t.Helper()
	w, err := newWatcher(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(ctx, poll, changed)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return changed
}

func wait(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("no change was told")
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
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
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
