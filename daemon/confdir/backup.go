// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"podgate/haproxy/cfgfile"
)

// Backup is a second name for each file of a folder. The files are many megabytes, and
// are replaced rather than changed, so a hard link is enough. Tidy removes the names
// that a killed podgate left.
type Backup struct {
	dir   Dir
	names []string // of the files that existed
}

// Backup backs up the present files, without certificates.
func (d Dir) Backup() (Backup, error) {
	b := Backup{dir: d}
	for _, name := range d.Names() {
		err := link(d.Path(name), b.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return b, errors.Join(err, b.Discard())
		}
		b.names = append(b.names, name)
	}
	return b, nil
}

// path is the second name of a file.
func (b Backup) path(name string) string { return b.dir.Path("." + name + ".kept") }

// link gives a file a second name, or copies it if the file system has no hard links.
func link(path, as string) error {
	if err := remove(as); err != nil {
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

// Restore puts the files back. A configuration that did not exist is removed before
// the others are put back, because it may name other maps.
func (b Backup) Restore() error {
	if !slices.Contains(b.names, cfgfile.ConfigFile) {
		if err := remove(b.dir.Path(cfgfile.ConfigFile)); err != nil {
			return err
		}
	}
	for _, name := range b.names {
		if err := os.Rename(b.path(name), b.dir.Path(name)); err != nil {
			return err
		}
	}
	return errors.Join(b.dir.sync(), b.Discard())
}

// Discard removes the second names. After Restore, those of files that had not been
// replaced are left.
func (b Backup) Discard() error {
	var errs []error
	for _, name := range b.names {
		errs = append(errs, remove(b.path(name)))
	}
	return errors.Join(errs...)
}
