// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"

	"podgate/daemon/filewatch"
)

// Watch sends on changed whenever the content of the file at path differs from
// before, at first from the content with this sum, until ctx ends. It does not close
// changed. A send never waits: give changed a capacity of one, and a change that
// was not received yet also stands for the next ones. A file that is removed is
// no change; the one that replaces it is compared with it.
func Watch(ctx context.Context, log *slog.Logger, path string, sum [sha256.Size]byte, changed chan<- struct{}) {
	watcher := filewatch.New(log)
	defer watcher.Close()
	f := contentOf{path, sum}
	for watcher.Wait(ctx, path) {
		if f.differs() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}

// contentOf remembers the content of a file.
type contentOf struct {
	path string
	sum  [sha256.Size]byte // of the content last seen; zero for none so far
}

// differs reads the file and reports whether its content differs from that at the
// last call. A file that cannot be read does not differ.
func (f *contentOf) differs() bool {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(text)
	differs := sum != f.sum
	f.sum = sum
	return differs
}
