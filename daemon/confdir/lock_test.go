// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLockHasOneHolder locks a folder by two names, as two processes do: flock(2) is
// about open files, not about processes.
func TestLockHasOneHolder(t *testing.T) {
	d := Dir(t.TempDir())
	link := Dir(filepath.Join(t.TempDir(), "link"))
	must(t, os.Symlink(string(d), string(link)))
	unlock, err := d.Lock("process 1, /etc/podgate/podgate.toml with a long name")
	must(t, err)
	_, err = link.Lock("process 2")
	want := fmt.Sprintf("haproxy.folder: %q is managed by another podgate (process 1, /etc/podgate/podgate.toml with a long name): "+
		"stop that one, or set another folder", string(link))
	if used, ok := errors.AsType[*InUseError](err); !ok || err.Error() != want {
		t.Errorf("got %T %v, want %s", used, err, want)
	}

	unlock()
	if unlock, err = link.Lock("process 2"); err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	defer unlock()
	got, err := os.ReadFile(d.Path(lockFile))
	must(t, err)
	if diff := cmp.Diff("process 2\n", string(got)); diff != "" {
		t.Errorf("lock file (-want +got):\n%s", diff)
	}
}

func TestLockOfAMissingFolderIsNotInUse(t *testing.T) {
	_, err := Dir(filepath.Join(t.TempDir(), "missing")).Lock("")
	if _, ok := errors.AsType[*InUseError](err); ok || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
}
