// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// folder is the folder of ours that HAProxy loads.
type folder string

// loadedFile remembers the State whose configuration stands in cfgfile's file,
// so that the next run of podgate knows what HAProxy has loaded. Without it,
// that run costs a reload. HAProxy reads only *.cfg.
const loadedFile = "podgate.loaded.json"

// beforeFile is the loadedFile before that. A podgate that is killed in the
// middle of a reload leaves HAProxy with the one or the other.
const beforeFile = "podgate.before.json"

type loaded struct {
	Generation string        `json:"generation"`
	State      haproxy.State `json:"state"` // without servers and routes
}

// write puts files in the folder, the configuration last, each whole or not at
// all, and remembers of what State they are. Files that are the same already
// are not touched.
func (f folder) write(files cfgfile.Files, of haproxy.State) error {
	if err := f.writeMaps(files.Maps); err != nil {
		return err
	}
	if err := f.writeTLS(files.CrtList, of.Certificates); err != nil {
		return err
	}
	memory, err := json.Marshal(loaded{files.Generation, of.Structure()})
	if err != nil {
		return fmt.Errorf("write %s: %w", loadedFile, err)
	}
	if last := f.lastGeneration(); last != "" && last != files.Generation {
		if err := os.Rename(filepath.Join(string(f), loadedFile), filepath.Join(string(f), beforeFile)); err != nil {
			return err
		}
	}
	if err := f.replace(loadedFile, append(memory, '\n')); err != nil {
		return err
	}
	return f.replace(cfgfile.ConfigFile, files.Config())
}

// lastGeneration is that of loadedFile, "" if there is none.
func (f folder) lastGeneration() string {
	file, err := os.Open(filepath.Join(string(f), loadedFile))
	if err != nil {
		return ""
	}
	defer file.Close()
	var generation string
	d := json.NewDecoder(file)
	for range 3 { // "{", "generation" and what it is: the rest may be megabytes
		token, err := d.Token()
		if err != nil {
			return ""
		}
		generation, _ = token.(string)
	}
	return generation
}

func (f folder) writeMaps(texts map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if err := f.replace(name, texts[name]); err != nil {
			return err
		}
	}
	return nil
}

// loaded returns what write remembered of that generation.
func (f folder) loaded(generation string) (haproxy.State, bool) {
	for _, l := range f.remembered() {
		if l.Generation == generation {
			return l.State, true
		}
	}
	return haproxy.State{}, false
}

// remembered is what write remembered last and before.
func (f folder) remembered() (all []loaded) {
	for _, name := range []string{loadedFile, beforeFile} {
		text, err := os.ReadFile(filepath.Join(string(f), name))
		if err != nil {
			continue
		}
		var l loaded
		if json.Unmarshal(text, &l) == nil {
			all = append(all, l)
		}
	}
	return all
}

// writeState writes what HAProxy is to know of its servers when it next loads.
func (f folder) writeState(state []byte) error { return f.replace(cfgfile.ServerStateFile, state) }

// names are the files that podgate keeps in the folder.
func (f folder) names() []string {
	names := []string{cfgfile.ConfigFile, cfgfile.ServerStateFile, loadedFile, beforeFile, drainFile, addedFile, secretFile, cfgfile.CrtListFile, cfgfile.TicketKeysFile}
	for _, m := range haproxy.MapNames() {
		names = append(names, cfgfile.MapFile(m))
	}
	return names
}

// sweep removes what a podgate that was killed left half written.
func (f folder) sweep() error {
	var errs []error
	for _, name := range f.names() {
		halves, err := filepath.Glob(filepath.Join(string(f), "."+name+".*"))
		errs = append(errs, err)
		for _, half := range halves {
			errs = append(errs, os.Remove(half))
		}
	}
	staging, err := filepath.Glob(filepath.Join(string(f), stagingPrefix+"*"))
	errs = append(errs, err)
	halves, err := filepath.Glob(filepath.Join(string(f.certificateFolder()), ".*"))
	errs = append(errs, err)
	for _, left := range append(staging, halves...) {
		errs = append(errs, os.RemoveAll(left))
	}
	return errors.Join(errs...)
}

// replace writes a file so that whoever opens it finds the old or the new
// content, whole, even after a power cut.
func (f folder) replace(name string, text []byte) error {
	mode := fs.FileMode(0o640)
	if name == cfgfile.TicketKeysFile {
		mode = 0o600
	}
	return f.replaceWith(name, text, mode)
}

func (f folder) replaceWith(name string, text []byte, mode fs.FileMode) error {
	return f.replaceAll([]content{{name, text}}, mode)
}

// content is a file of the folder, and what it is to hold.
type content struct {
	name string
	text []byte
}

// replaceAll is replace for many files, which takes little longer than for one:
// what takes long is to wait for the disk, which takes many at once. On an error
// some of them may hold the new content.
func (f folder) replaceAll(all []content, mode fs.FileMode) error {
	all = slices.DeleteFunc(slices.Clone(all), func(c content) bool { return holds(filepath.Join(string(f), c.name), c.text) })
	if len(all) == 0 {
		return nil
	}
	temps, err := f.writeTemps(all, mode)
	defer func() {
		for _, temp := range temps {
			os.Remove(temp) // gone already if all went well
		}
	}()
	if err != nil {
		return err
	}
	for i, c := range all {
		path := filepath.Join(string(f), c.name)
		if err := os.Rename(temps[i], path); err != nil {
			return writeError(path, err)
		}
	}
	return f.sync()
}

// diskWriters is how many files are given to the disk at once. It does not get
// quicker with more.
const diskWriters = 8

// writeTemps writes a temporary file for each, so that it is on the disk, and
// returns their paths, those of an error too.
func (f folder) writeTemps(all []content, mode fs.FileMode) ([]string, error) {
	temps, errs := make([]string, len(all)), make([]error, len(all))
	var next atomic.Int64
	var writers sync.WaitGroup
	for range min(diskWriters, len(all)) {
		writers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(all); i = int(next.Add(1)) - 1 {
				temps[i], errs[i] = f.writeTemp(all[i], mode)
			}
		})
	}
	writers.Wait()
	for i, err := range errs {
		if err != nil {
			temps = slices.DeleteFunc(temps, func(temp string) bool { return temp == "" })
			return temps, writeError(filepath.Join(string(f), all[i].name), err)
		}
	}
	return temps, nil
}

// writeTemp returns "" where there is no file.
func (f folder) writeTemp(c content, mode fs.FileMode) (string, error) {
	temp, err := os.CreateTemp(string(f), "."+c.name+".*")
	if err != nil {
		return "", err
	}
	return temp.Name(), errors.Join(f.give(temp), writeSync(temp, c.text, mode), temp.Close())
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

// holds reports whether a file is just that text, without reading megabytes at
// once.
func holds(path string, text []byte) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	if stat, err := file.Stat(); err != nil || stat.Size() != int64(len(text)) {
		return false
	}
	part := make([]byte, min(len(text), 64<<10))
	for len(text) > 0 {
		part = part[:min(len(text), len(part))]
		if _, err := io.ReadFull(file, part); err != nil || !bytes.Equal(part, text[:len(part)]) {
			return false
		}
		text = text[len(part):]
	}
	return true
}

// give lets a file that root writes, as by a command, belong to whom the folder
// belongs to.
func (f folder) give(file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := os.Stat(string(f))
	if err != nil {
		return err
	}
	of, ok := owner.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return file.Chown(int(of.Uid), int(of.Gid))
}

func writeSync(file *os.File, text []byte, mode fs.FileMode) error {
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	return file.Sync()
}

// sync makes a rename last.
func (f folder) sync() error {
	dir, err := os.Open(string(f))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
