// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
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

// lockDescriptor returns the descriptor of the lock file, which this process has open once.
func lockDescriptor(t *testing.T, d Dir) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	var found []int
	for _, fd := range open {
		if path, _ := os.Readlink("/proc/self/fd/" + fd.Name()); path == d.Path(lockFile) {
			n, err := strconv.Atoi(fd.Name())
			must(t, err)
			found = append(found, n)
		}
	}
	if len(found) != 1 {
		t.Fatalf("the lock file is open %d times, want once", len(found))
	}
	return found[0]
}

// TestLockAllowsAReadOnlyMount looks at the flags of the open lock file: Linux refuses to
// mount a file system read-only while a file of it is open for writing.
func TestLockAllowsAReadOnlyMount(t *testing.T) {
	d := Dir(t.TempDir())
	unlock, err := d.Lock("process 1")
	must(t, err)
	defer unlock()
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(lockDescriptor(t, d)), syscall.F_GETFL, 0)
	if errno != 0 || flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		t.Errorf("flags of the lock file: %#o, %v, want read-only", flags, errno)
	}
}

// TestUnlockIsForAllDescriptors unlocks a folder while a copy of the descriptor is open,
// as in a program that was started and has not executed yet.
func TestUnlockIsForAllDescriptors(t *testing.T) {
	d := Dir(t.TempDir())
	unlock, err := d.Lock("process 1")
	must(t, err)
	fd, err := syscall.Dup(lockDescriptor(t, d))
	must(t, err)
	defer syscall.Close(fd)
	unlock()
	unlock, err = d.Lock("process 2")
	must(t, err)
	unlock()
}

func TestLockOfAMissingFolderIsNotInUse(t *testing.T) {
	_, err := Dir(filepath.Join(t.TempDir(), "missing")).Lock("")
	if _, ok := errors.AsType[*InUseError](err); ok || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
}
