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

// confirmDelay is how long after a Read with an unconfirmed fault the next one follows.
const confirmDelay = 400 * time.Millisecond

// watch reads the files after every change, until ctx ends, and sends each Set that
// differs from the one before, at first from last. No other goroutine may use the
// reader meanwhile. Out must have a capacity of 1 and no other sender: a newer Set
// replaces one that was not received yet. watch does not close out.
func watch(ctx context.Context, log *slog.Logger, r *reader, last Set, out chan Set) {
	watcher := filewatch.New(log)
	defer watcher.Close()
	// Wait also returns without a change, so that an expired certificate is found.
	for watcher.Wait(ctx, r.watched()...) {
		for again := true; again && ctx.Err() == nil; {
			var s Set
			if s, again = r.Read(); !reflect.DeepEqual(last, s) {
				last = s
				latest.Send(out, s)
			}
			if again {
				select {
				case <-time.After(confirmDelay):
				case <-ctx.Done():
				}
			}
		}
	}
}

// watched returns the paths to watch: those of the Source, the files that were read,
// and the folders of these, because a key may be added there.
func (r *reader) watched() []string {
	paths := r.source.paths()
	if r.source.CAFolder != "" {
		paths = append(paths, r.source.CAFolder)
	}
	for p := range r.files {
		paths = append(paths, p.certificate, p.key, filepath.Dir(p.certificate))
	}
	return paths
}
