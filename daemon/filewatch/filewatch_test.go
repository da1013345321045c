// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
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

// folder is a folder in which a test changes files.
type folder struct {
	t    *testing.T
	path string
}

func newFolder(t *testing.T) folder { return folder{t, t.TempDir()} }

func (f folder) at(name string) string { return filepath.Join(f.path, name) }

func (f folder) must(errs ...error) {
	f.t.Helper()
	if err := errors.Join(errs...); err != nil {
		f.t.Fatal(err)
	}
}

// write writes in place.
func (f folder) write(name, text string) {
	f.t.Helper()
	f.must(os.MkdirAll(filepath.Dir(f.at(name)), 0o755), os.WriteFile(f.at(name), []byte(text), 0o644))
}

func (f folder) rename(from, to string)   { f.t.Helper(); f.must(os.Rename(f.at(from), f.at(to))) }
func (f folder) link(target, name string) { f.t.Helper(); f.must(os.Symlink(target, f.at(name))) }

func TestWaitReturnsAfterAChange(t *testing.T) {
	file := func(f folder) { f.write("podgate.toml", "old") }
	for _, tt := range []struct {
		name, path    string
		setup, change func(folder)
	}{
		{"a file written in place", "podgate.toml", file, func(f folder) { f.write("podgate.toml", "new") }},
		{"a new file renamed over the old one, as editors do", "podgate.toml", file, func(f folder) {
			f.write("podgate.toml~", "new")
			f.rename("podgate.toml~", "podgate.toml")
		}},
		{"a file that was missing", "podgate.toml", func(folder) {}, file},
		{"a file whose folders were missing", "etc/podgate/podgate.toml", func(folder) {}, func(f folder) { f.write("etc/podgate/podgate.toml", "new") }},
		{"a link in the path of the file replaced, as Kubernetes does", "podgate.toml", func(f folder) {
			f.write("..2026_1/podgate.toml", "old")
			f.link("..2026_1", "..data")
			f.link("..data/podgate.toml", "podgate.toml")
		}, func(f folder) {
			f.write("..2026_2/podgate.toml", "new")
			f.link("..2026_2", "..data_tmp")
			f.rename("..data_tmp", "..data")
		}},
		{"the target of a link into another folder", "etc/podgate.toml", func(f folder) {
			f.write("elsewhere/podgate.toml", "old")
			f.write("etc/other", "")
			f.link("../elsewhere/podgate.toml", "etc/podgate.toml")
		}, func(f folder) { f.write("elsewhere/podgate.toml", "new") }},
		{"a folder that is removed and added again", "etc/podgate.toml", func(f folder) { f.write("etc/podgate.toml", "old") }, func(f folder) {
			f.must(os.RemoveAll(f.at("etc")))
			f.write("etc/podgate.toml", "new")
		}},
		{"a new file in a folder", "certificates", func(f folder) { f.write("certificates/a.pem", "old") }, func(f folder) { f.write("certificates/b.pem", "new") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			tt.setup(f)
			w := New(slog.New(slog.NewTextHandler(failing{t}, nil)))
			w.poll = time.Hour
			t.Cleanup(w.Close)
			wait(t, w, f.at(tt.path)) // the first Wait returns without a change
			tt.change(f)
			wait(t, w, f.at(tt.path))

			// The Watcher finds the next change, too.
			path := tt.path
			if path == "certificates" {
				path = "certificates/b.pem"
			}
			waitUntilQuiet(t, w, f.at(path))
			f.write(path+"~", "newer")
			f.rename(path+"~", path)
			wait(t, w, f.at(path))
		})
	}
}

// failing fails a test that logs.
type failing struct{ t *testing.T }

func (f failing) Write(p []byte) (int, error) {
	f.t.Errorf("log: %s", p)
	return len(p), nil
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
	if w := (&Watcher{poll: time.Hour}); w.Wait(ctx, t.TempDir()) {
		t.Error("got true, want false when the context has ended")
	}
}

// TestABusyFileIsRead writes a file continuously. Wait would never return if each event
// restarted its timer without a limit.
func TestABusyFileIsRead(t *testing.T) {
	events := make(chan fsnotify.Event)
	w := &Watcher{poll: time.Hour, events: events}
	path := filepath.Join(t.TempDir(), "podgate.toml")
	go func() {
		for {
			select {
			case events <- fsnotify.Event{Name: path}:
			case <-t.Context().Done():
				return
			}
		}
	}()
	wait(t, w, path)
}

// TestOtherFilesAreNotWatched checks that other files do not count in a folder that
// is watched for some of its files, which may be /tmp or /var/log. The folder
// itself counts: it may be removed or replaced.
func TestOtherFilesAreNotWatched(t *testing.T) {
	f := newFolder(t)
	f.write("archive/linked.pem", "")
	f.write("single/one.pem", "")
	f.write("certificates/two.pem", "")
	f.link("../archive/linked.pem", "certificates/linked.pem")
	f.link("itself", "itself")
	targets := find([]string{f.at("certificates"), f.at("certificates/linked.pem"), f.at("single/one.pem"), f.at("gone/three.pem"), f.at("itself")})
	want := map[string]bool{
		"certificates": true, "certificates/any.pem": true, "archive/linked.pem": true, "archive/other.pem": false, "single/one.pem": true, "single/other.pem": false,
		"gone": true, "gone/three.pem": true, "itself": true, "other": false, ".": true,
	}
	got := map[string]bool{}
	for name := range want {
		got[name] = targets.matches(f.at(name))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	folders := map[string]bool{f.path: true, f.at("certificates"): true, f.at("archive"): true, f.at("single"): true, f.at("gone"): true}
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

func wait(t *testing.T, w *Watcher, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if !w.Wait(ctx, path) {
		t.Fatal("no change was found")
	}
}

// waitUntilQuiet waits for the last event of what was changed.
func waitUntilQuiet(t *testing.T, w *Watcher, path string) {
	t.Helper()
	for changed := true; changed; {
		ctx, cancel := context.WithTimeout(t.Context(), 2*settle)
		changed = w.Wait(ctx, path)
		cancel()
	}
}
