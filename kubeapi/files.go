// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// filesSettle is how long after a change the files are read: a certificate
	// and its key are two writes.
	filesSettle = 200 * time.Millisecond
	// filesInterval is how often they are read where no change was told, such as
	// on a network file system.
	filesInterval = time.Minute
)

// watchFiles reads the credentials again whenever something changed in a folder
// they stand in, until ctx ends. The folders and not the files are watched:
// files are replaced by renaming, and Kubernetes replaces a symbolic link.
func (c *Client) watchFiles(ctx context.Context) {
	if len(c.credentials.current().files) == 0 {
		return // and there will be none: no kubeconfig can name any
	}
	changed := make(<-chan fsnotify.Event)
	var lost <-chan error
	var folders []string
	settling := false
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		c.log.Debug("files are not watched, reading them by the minute", "err", err)
	} else {
		defer watcher.Close()
		changed, lost = watcher.Events, watcher.Errors
	}
	timer := time.NewTimer(filesInterval)
	defer timer.Stop()
	for {
		if watcher != nil {
			before := folders
			folders = c.watchFolders(watcher, folders)
			if !settling && !slices.Equal(before, folders) { // nobody was told of what changed until now
				settling = true
				timer.Reset(filesSettle)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
			if !settling { // or a busy folder would put it off for ever
				settling = true
				timer.Reset(filesSettle)
			}
		case <-lost: // events were dropped; the next reading makes up for them
		case <-timer.C:
			settling = false
			c.refresh()
			timer.Reset(filesInterval)
		}
	}
}

// watchFolders makes watcher watch the folders of the credentials, of which it watches
// some already, and returns those that it watches then.
func (c *Client) watchFolders(watcher *fsnotify.Watcher, watched []string) []string {
	var folders []string
	for _, file := range c.credentials.current().files {
		folders = append(folders, filepath.Dir(file))
	}
	slices.Sort(folders)
	folders = slices.Compact(folders)
	for _, folder := range watched {
		if !slices.Contains(folders, folder) {
			_ = watcher.Remove(folder) // it may be gone
		}
	}
	return slices.DeleteFunc(folders, func(folder string) bool {
		return !slices.Contains(watched, folder) && watcher.Add(folder) != nil
	})
}
