// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"podgate/haproxy/cfgfile"
)

// ordinaryMode is the mode of files without keys.
const ordinaryMode = fs.FileMode(0o640)

// content writes the content of a file, in parts, because it may be megabytes. It
// writes the same whenever it is called.
type content func(to io.Writer) error

// whole is a content in one part.
func whole(text []byte) content {
	return func(to io.Writer) error {
		_, err := to.Write(text)
		return err
	}
}

// file is a file of the folder.
type file struct {
	name    string
	content content
}

// partSize is the size of the parts in which files are read and written.
const partSize = 64 << 10

// replace writes a file atomically: it has the old or the new content, complete, even
// after a power cut. A file that has the content already is not touched.
func (d Dir) replace(name string, text []byte) error {
	mode := ordinaryMode
	if name == cfgfile.TicketKeysFile {
		mode = 0o600
	}
	return d.replaceWith(name, whole(text), mode)
}

func (d Dir) replaceWith(name string, c content, mode fs.FileMode) error {
	return d.replaceAll([]file{{name, c}}, mode)
}

// replaceJSON replaces a file by a value in JSON.
func (d Dir) replaceJSON(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return d.replace(name, append(text, '\n'))
}

// remove removes a file, which may be missing.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// replaceAll is replace for many files. It takes little longer than for one, because
// the disk writes many in parallel. On an error some of them are new.
func (d Dir) replaceAll(files []file, mode fs.FileMode) error {
	return d.put(slices.DeleteFunc(slices.Clone(files), func(f file) bool { return has(d.Path(f.name), f.content, mode) }), mode)
}

// put is replaceAll without a comparison with the present content.
func (d Dir) put(all []file, mode fs.FileMode) error {
	if len(all) == 0 {
		return nil
	}
	temps, err := d.writeTemps(all, mode)
	defer func() {
		for _, temp := range temps {
			os.Remove(temp) // it is renamed if all went well
		}
	}()
	if err != nil {
		return err
	}
	for i, f := range all {
		path := d.Path(f.name)
		err := os.Rename(temps[i], path)
		for try := 0; errors.Is(err, fs.ErrNotExist) && try < sweepTries; try++ {
			if temps[i], err = d.writeTemp(f, mode); err == nil {
				err = os.Rename(temps[i], path)
			}
		}
		if err != nil {
			return writeError(path, err)
		}
	}
	return d.sync()
}

// sweepTries is how often a temporary file is written again that was removed by a
// podgate that started: to it, the file of a command looks like one that a killed
// process left. It removes such files once.
const sweepTries = 3

// diskWriters is how many files are written in parallel. More are not faster.
const diskWriters = 8

// writeTemps writes and syncs a temporary file for each file. It returns their paths,
// also those that were written before an error.
func (d Dir) writeTemps(all []file, mode fs.FileMode) ([]string, error) {
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
			return temps, writeError(d.Path(all[i].name), err)
		}
	}
	return temps, nil
}

// writeTemp returns the path of the temporary file; "" if it could not be created.
func (d Dir) writeTemp(f file, mode fs.FileMode) (string, error) {
	temp, err := os.CreateTemp(string(d), "."+f.name+".*")
	if err != nil {
		return "", err
	}
	return temp.Name(), errors.Join(d.chown(temp), writeSync(temp, f.content, mode), temp.Close())
}

// writeError wraps the error of writing path without the name of the temporary file,
// which differs each time: the same failure has the same text.
func writeError(path string, err error) error {
	if temp, ok := errors.AsType[*fs.PathError](err); ok {
		err = temp.Err
	} else if temp, ok := errors.AsType[*os.LinkError](err); ok {
		err = temp.Err
	}
	return fmt.Errorf("write %s: %w", path, err)
}

// has reports whether a file has just that content, and no broader permissions than
// mode.
func has(path string, c content, mode fs.FileMode) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Mode().Perm()&^mode != 0 {
		return false
	}
	to := &comparer{file: bufio.NewReaderSize(file, partSize)}
	if err := c(to); err != nil {
		return false
	}
	_, err = to.file.ReadByte()
	return err == io.EOF
}

// comparer compares what is written to it with a file.
type comparer struct{ file *bufio.Reader }

var errDiffers = errors.New("the file has other content")

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
		_, _ = c.file.Discard(len(part)) // it was just peeked
	}
	return compared, nil
}

// chown gives a file that root writes, as by a command, to the folder's owner.
func (d Dir) chown(file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := os.Stat(string(d))
	if err != nil {
		return err
	}
	stat, ok := owner.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return file.Chown(int(stat.Uid), int(stat.Gid))
}

func writeSync(file *os.File, c content, mode fs.FileMode) error {
	to := bufio.NewWriterSize(file, partSize)
	if err := c(to); err != nil {
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

// sync makes a rename survive a power cut.
func (d Dir) sync() error {
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
