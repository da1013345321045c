// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// lockFile is locked by the podgate that manages the folder, and names it. It is never
// removed: another process may have opened it already, and would lock a deleted file.
const lockFile = "podgate.lock"

// longestHolder is how much of a lockFile is read, in bytes.
const longestHolder = 4096

// InUseError is returned by Lock if another process has locked the folder.
type InUseError struct {
	Dir    Dir
	Holder string // as that process passed it to Lock; "" if unknown
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("haproxy.folder: %q is managed by another podgate (%s): stop that one, or set another folder",
		string(e.Dir), cmp.Or(e.Holder, "unknown process"))
}

// Lock locks the folder for this process until unlock is called or the process ends
// (flock(2)). holder describes this process, in one line, in the *InUseError of others.
// Any other error means that the folder cannot be locked by any process, for example
// because it is missing.
func (d Dir) Lock(holder string) (unlock func(), err error) {
	// Only for reading: a file that is open for writing keeps its file system from being
	// mounted read-only.
	file, err := os.OpenFile(d.Path(lockFile), os.O_CREATE|os.O_RDONLY, ordinaryMode)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		other, _ := io.ReadAll(io.LimitReader(file, longestHolder))
		return nil, errors.Join(&InUseError{d, strings.TrimSpace(string(other))}, file.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
	}
	_ = os.WriteFile(file.Name(), []byte(holder+"\n"), ordinaryMode) // the lock holds without the text
	return func() {
		// A program that this process starts meanwhile has a copy of the descriptor until it
		// executes, and so has the lock: closing the file would leave it locked.
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
		_ = file.Close()
	}, nil
}
