// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The tests of daemon/filewatch cover how files change.
func TestWatchReportsAChangedContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "podgate.toml")
	write(t, path, "old")
	changed := make(chan struct{}, 1)
	watch(t, path, changed)
	for i := 0; ; i++ { // the first may be from before Watch began
		write(t, path, "new"+string(rune('0'+i)))
		select {
		case <-changed:
			return
		case <-time.After(time.Second):
		}
		if i == 9 {
			t.Fatal("no change was reported")
		}
	}
}

func TestWatchReportsAChangeFromBeforeItBegan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "podgate.toml")
	write(t, path, "new") // watch expects "old"
	changed := make(chan struct{}, 1)
	watch(t, path, changed)
	select {
	case <-changed:
	case <-t.Context().Done():
		t.Fatal("no change was reported")
	}
}

func TestWatchComparesContentNotEvents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "podgate.toml")
	write(t, path, "old")
	f := &contentOf{path: path}
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"the first content is new", func() {}, true},
		{"the same content written again is not", func() { write(t, path, "old") }, false},
		{"other content is", func() { write(t, path, "new") }, true},
		{"a file that is removed is not", func() { os.Remove(path) }, false},
		{"nor is one that comes back as it was", func() { write(t, path, "new") }, false},
	} {
		step.do()
		if got := f.differs(); got != step.want {
			t.Errorf("%s: got %v, want %v", step.name, got, step.want)
		}
	}
}

func TestWatchDoesNotWaitForItsReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "podgate.toml")
	write(t, path, "old")
	stop := watch(t, path, make(chan struct{}))
	write(t, path, "new")
	stop()
}

// watch watches path until stop is called, or the test ends.
func watch(t *testing.T, path string, changed chan<- struct{}) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, slog.New(slog.DiscardHandler), path, sha256.Sum256([]byte("old")), changed)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// write writes in place, and creates the folder if it is missing.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}
