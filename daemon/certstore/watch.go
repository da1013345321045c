// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"context"
	"log/slog"
	"path/filepath"
	"reflect"
	"time"

	"podgate/daemon/filewatch"
	"podgate/daemon/latest"
)

// doubtful is when files that look broken, or are gone, are read again.
const doubtful = 400 * time.Millisecond

// watch sends what there is on out, at first what differs from first, whenever it
// changed, until ctx ends. The reader is watch's own meanwhile. Out must have a
// capacity of 1 and no other sender: a Set that nobody has received yet is
// replaced by the newer one. watch does not close it.
func watch(ctx context.Context, log *slog.Logger, r *reader, first Set, out chan Set) {
	watcher := filewatch.New(log)
	defer watcher.Close()
	// Certificates expire without a change, which polling finds.
	for watcher.Wait(ctx, r.files()...) {
		for again := true; again; again = again && pause(ctx, doubtful) {
			var s Set
			if s, again = r.Read(); !reflect.DeepEqual(first, s) {
				first = s
				latest.Send(out, s)
			}
		}
	}
}

// pause waits for d and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// files are the paths to watch for changes of what was read: those of the Source,
// the files, and their folders, where a key may be added.
func (r *reader) files() []string {
	paths := r.source.paths()
	if r.source.CAFolder != "" {
		paths = append(paths, r.source.CAFolder)
	}
	for p := range r.read {
		paths = append(paths, p.certificate, p.key, filepath.Dir(p.certificate))
	}
	return paths
}
