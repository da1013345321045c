// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"podgate/haproxy/cfgfile"
)

// ordinaryMode is that of files that hold no key.
const ordinaryMode = fs.FileMode(0o640)

// text writes what a file is to hold, the same each time: it may be megabytes, and
// so is not in one piece.
type text func(to io.Writer) error

// whole is a text in one piece.
func whole(t []byte) text {
	return func(to io.Writer) error {
		_, err := to.Write(t)
		return err
	}
}

// content is a file of the folder, and what it is to hold.
type content struct {
	name string
	text text
}

// partSize is how much of a file is read or written at once.
const partSize = 64 << 10

// replace writes a file so that whoever opens it finds the old or the new
// content, whole, even after a power cut. One that holds it already is not
// touched.
func (d Dir) replace(name string, t []byte) error {
	mode := ordinaryMode
	if name == cfgfile.TicketKeysFile {
		mode = 0o600
	}
	return d.replaceWith(name, whole(t), mode)
}

func (d Dir) replaceWith(name string, t text, mode fs.FileMode) error {
	return d.replaceAll([]content{{name, t}}, mode)
}

// replaceAll is replace for many files, which takes little longer than for one:
// what takes long is to wait for the disk, which takes many at once. On an error
// some of them may hold the new content.
func (d Dir) replaceAll(all []content, mode fs.FileMode) error {
	return d.put(slices.DeleteFunc(slices.Clone(all), func(c content) bool { return holds(filepath.Join(string(d), c.name), c.text, mode) }), mode)
}

// put is replaceAll that does not look what the files hold.
func (d Dir) put(all []content, mode fs.FileMode) error {
	if len(all) == 0 {
		return nil
	}
	temps, err := d.writeTemps(all, mode)
	defer func() {
		for _, temp := range temps {
			os.Remove(temp) // gone already if all went well
		}
	}()
	if err != nil {
		return err
	}
	for i, c := range all {
		path := filepath.Join(string(d), c.name)
		err := os.Rename(temps[i], path)
		for try := 0; errors.Is(err, fs.ErrNotExist) && try < sweepTries; try++ {
			if temps[i], err = d.writeTemp(c, mode); err == nil {
				err = os.Rename(temps[i], path)
			}
		}
		if err != nil {
			return writeError(path, err)
		}
	}
	return d.sync()
}

// sweepTries is how often a temporary file is written again that a podgate which
// begins swept away: what a command writes beside it looks as if one that was
// killed had left it. It sweeps once.
const sweepTries = 3

// diskWriters is how many files are given to the disk at once. It does not get
// quicker with more.
const diskWriters = 8

// writeTemps writes a temporary file for each, so that it is on the disk, and
// returns their paths, those of an error too.
func (d Dir) writeTemps(all []content, mode fs.FileMode) ([]string, error) {
	temps, errs := make([]string, len(all)), make([]error, len(all))
	var next atomic.Int64
	var writers sync.WaitGroup
	for range min(diskWriters, len(all)) {
		writers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(all); i = int(next.Add(1)) - 1 {
				temps[i], errs[i] = d.writeTemp(all[i], mode)
			}
		})
	}
	writers.Wait()
	for i, err := range errs {
		if err != nil {
			temps = slices.DeleteFunc(temps, func(temp string) bool { return temp == "" })
			return temps, writeError(filepath.Join(string(d), all[i].name), err)
		}
	}
	return temps, nil
}

// writeTemp returns "" where there is no file.
func (d Dir) writeTemp(c content, mode fs.FileMode) (string, error) {
	temp, err := os.CreateTemp(string(d), "."+c.name+".*")
	if err != nil {
		return "", err
	}
	return temp.Name(), errors.Join(d.give(temp), writeSync(temp, c.text, mode), temp.Close())
}

// writeError tells what could not be written: the temporary file has another
// name each time, what is told is the same.
func writeError(path string, err error) error {
	if half, ok := errors.AsType[*fs.PathError](err); ok {
		err = half.Err
	} else if half, ok := errors.AsType[*os.LinkError](err); ok {
		err = half.Err
	}
	return fmt.Errorf("write %s: %w", path, err)
}

// holds reports whether a file is just that text, for nobody but whom mode lets
// read it.
func holds(path string, t text, mode fs.FileMode) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Mode().Perm()&^mode != 0 {
		return false
	}
	c := &comparer{file: bufio.NewReaderSize(file, partSize)}
	if err := t(c); err != nil {
		return false
	}
	_, err = c.file.ReadByte()
	return err == io.EOF
}

// comparer takes what is written to it for what the file should hold.
type comparer struct{ file *bufio.Reader }

var errDiffers = errors.New("the file holds something else")

func (c *comparer) Write(text []byte) (compared int, err error) {
	for compared < len(text) {
		part, err := c.file.Peek(min(len(text)-compared, partSize))
		if err != nil {
			return compared, err
		}
		if !bytes.Equal(part, text[compared:compared+len(part)]) {
			return compared, errDiffers
		}
		compared += len(part)
		_, _ = c.file.Discard(len(part)) // it was just there
	}
	return compared, nil
}

// give lets a file that root writes, as by a command, belong to whom the folder
// belongs to.
func (d Dir) give(file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := os.Stat(string(d))
	if err != nil {
		return err
	}
	of, ok := owner.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return file.Chown(int(of.Uid), int(of.Gid))
}

func writeSync(file *os.File, t text, mode fs.FileMode) error {
	to := bufio.NewWriterSize(file, partSize)
	if err := t(to); err != nil {
		return err
	}
	if err := to.Flush(); err != nil {
		return err
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	return file.Sync()
}

// sync makes a rename last.
func (d Dir) sync() error {
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
