// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"podgate/haproxy/cfgfile"
)

// Backup holds what stood in the folder, each file under a second name of its
// own: the files are many megabytes, and none is ever changed in place. What a
// podgate that was killed leaves of it is swept.
type Backup struct {
	folder Dir
	names  []string // of the files that were there
}

// Backup keeps the files that stand in the folder, for Restore.
func (d Dir) Backup() (Backup, error) {
	b := Backup{folder: d}
	for _, name := range d.Names() {
		err := keep(filepath.Join(string(d), name), b.kept(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return b, errors.Join(err, b.Forget())
		}
		b.names = append(b.names, name)
	}
	return b, nil
}

// kept is the second name of a file.
func (b Backup) kept(name string) string { return filepath.Join(string(b.folder), "."+name+".kept") }

// keep gives a file a second name, or copies it where the file system knows no
// such thing.
func keep(path, as string) error {
	if err := os.Remove(as); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(path, as); err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	stat, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := os.OpenFile(as, os.O_CREATE|os.O_EXCL|os.O_WRONLY, stat.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Sync(), to.Close())
}

// Restore puts the files back. A configuration that was not there then is taken
// away first, because it may name maps that go too.
func (b Backup) Restore() error {
	if !slices.Contains(b.names, cfgfile.ConfigFile) {
		if err := os.Remove(filepath.Join(string(b.folder), cfgfile.ConfigFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, name := range b.names {
		if err := os.Rename(b.kept(name), filepath.Join(string(b.folder), name)); err != nil {
			return err
		}
	}
	return errors.Join(b.folder.sync(), b.Forget())
}

// Forget gives up the second names, of which a restore leaves those of files that
// were never replaced.
func (b Backup) Forget() error {
	var errs []error
	for _, name := range b.names {
		if err := os.Remove(b.kept(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
