// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// written is what the folder holds of what ran at one moment. It knows where in
// ConfigFile each backend stands, so that the next one, which differs from it in
// the servers of a few backends, copies the others.
type written struct {
	loaded       haproxy.State
	certificates []haproxy.Certificate
	maps         []haproxy.Map
	servers      [][]haproxy.Server // observed, by the index of their backend in loaded

	sections *cfgfile.Sections
	ends     []int64         // of each backend's section in ConfigFile
	seals    map[string]seal // of the files, by name
}

// newWritten is what is to be written of have, which may change in place later:
// its map of servers does, the lists in it do not.
func newWritten(have haproxy.Running) *written {
	w := &written{loaded: have.Loaded, certificates: have.Certificates, maps: have.Maps}
	w.servers = make([][]haproxy.Server, have.Loaded.Backends.Len())
	for i, b := range have.Loaded.Backends.All() {
		w.servers[i] = have.Servers[b.Name]
	}
	return w
}

// follows reports whether w differs from last in nothing but servers and
// certificates. What is long is looked at only as far as to see that it is one.
func (w *written) follows(last *written) bool {
	if last == nil || w.loaded.Backends.Len() == 0 || !w.loaded.Backends.Same(last.loaded.Backends) {
		return false
	}
	if !slices.EqualFunc(w.maps, last.maps, func(a, b haproxy.Map) bool { return a.Name == b.Name && haproxy.Same(a.Entries, b.Entries) }) {
		return false
	}
	now, before := w.loaded, last.loaded
	now.Backends, before.Backends = haproxy.Backends{}, haproxy.Backends{}
	return reflect.DeepEqual(now, before)
}

// writeAll writes every file that does not hold already what it should, the
// configuration last.
func (w *written) writeAll(d Dir) error {
	running := w.state()
	running.Certificates = d.Present(w.certificates)
	files, err := cfgfile.Render(running, string(d))
	if err != nil {
		return err
	}
	if files.Maps, err = cfgfile.RenderMaps(w.maps); err != nil {
		return err
	}
	if err := d.writeOthers(files, w.loaded); err != nil {
		return err
	}
	w.sections = files.Sections
	if err := d.replaceWith(cfgfile.ConfigFile, w.config(nil, nil), ordinaryMode); err != nil {
		return err
	}
	w.seals = map[string]seal{}
	for name := range files.Maps {
		w.seals[name] = d.seal(name)
	}
	w.seals[loadedFile], w.seals[cfgfile.ConfigFile] = d.seal(loadedFile), d.seal(cfgfile.ConfigFile)
	return nil
}

// state is what was loaded with the servers that are in service now.
func (w *written) state() haproxy.State {
	s := w.loaded.Structure()
	for i, b := range s.Backends.All() {
		b.Servers = inService(w.servers[i])
	}
	return s
}

func inService(servers []haproxy.Server) []haproxy.Server {
	isMaint := func(s haproxy.Server) bool { return s.State == haproxy.Maint }
	if slices.ContainsFunc(servers, isMaint) {
		return slices.DeleteFunc(slices.Clone(servers), isMaint)
	}
	return servers
}

// writeChanges writes what of the files is not as in last, which w follows. It
// returns errTouched where somebody touched what it would copy.
func (w *written) writeChanges(d Dir, last *written) error {
	if !d.sealed(last.seals) {
		return errTouched
	}
	running := w.loaded
	running.Certificates = d.Present(w.certificates)
	crtList, err := cfgfile.RenderCrtList(running, string(d))
	if err != nil {
		return err
	}
	if err := d.WriteCrtList(crtList, nil); err != nil {
		return err
	}
	w.sections, w.ends, w.seals = last.sections, last.ends, maps.Clone(last.seals)
	if slices.EqualFunc(w.servers, last.servers, haproxy.Same[haproxy.Server]) {
		return nil
	}
	old, err := os.Open(filepath.Join(string(d), cfgfile.ConfigFile))
	if err != nil {
		return errTouched
	}
	defer old.Close()
	if err := d.put([]content{{cfgfile.ConfigFile, w.config(last, old)}}, ordinaryMode); err != nil {
		return err
	}
	w.seals[cfgfile.ConfigFile] = d.seal(cfgfile.ConfigFile)
	return nil
}

var errTouched = errors.New("somebody else touched the files")

// config is ConfigFile, and sets ends. What last, unless it is nil, has of the
// same servers is copied from old, which it wrote.
func (w *written) config(last *written, old *os.File) text {
	return func(to io.Writer) error {
		w.ends = make([]int64, w.loaded.Backends.Len())
		if _, err := to.Write(w.sections.Head()); err != nil {
			return err
		}
		at := int64(len(w.sections.Head()))
		copied := at // what is behind it in old, up to the present backend, is yet to be copied
		var section []byte
		for i, b := range w.loaded.Backends.All() {
			if last != nil && haproxy.Same(w.servers[i], last.servers[i]) {
				at += last.ends[i] - last.begin(i)
				w.ends[i] = at
				continue
			}
			if last != nil {
				if err := copyPart(to, old, copied, last.begin(i)); err != nil {
					return err
				}
				copied = last.ends[i]
			}
			present := *b
			present.Servers = inService(w.servers[i])
			section = w.sections.AppendBackend(section[:0], &present)
			if _, err := to.Write(section); err != nil {
				return err
			}
			at += int64(len(section))
			w.ends[i] = at
		}
		if last == nil {
			return nil
		}
		if err := copyPart(to, old, copied, last.end()); err != nil {
			return err
		}
		if !last.seals[cfgfile.ConfigFile].of(old) {
			return errTouched
		}
		return nil
	}
}

// begin is where in ConfigFile the section of a backend begins.
func (w *written) begin(i int) int64 {
	if i == 0 {
		return int64(len(w.sections.Head()))
	}
	return w.ends[i-1]
}

// end is how long ConfigFile is.
func (w *written) end() int64 { return w.begin(len(w.ends)) }

// copyPart copies what stands in a file between two places.
func copyPart(to io.Writer, file *os.File, from, end int64) error {
	part := make([]byte, min(partSize, end-from))
	for from < end {
		n, err := file.ReadAt(part[:min(int64(len(part)), end-from)], from)
		if err != nil {
			return errTouched // it is shorter than it was
		}
		if _, err := to.Write(part[:n]); err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}

// seal tells whether a file is the one that it was, and untouched since. The zero
// seal is of no file.
type seal struct {
	dev, ino          uint64
	size              int64
	modified, changed syscall.Timespec
}

func sealOf(info fs.FileInfo) seal {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return seal{}
	}
	return seal{uint64(s.Dev), s.Ino, s.Size, s.Mtim, s.Ctim}
}

// of reports whether it is that of an open file.
func (s seal) of(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && s == sealOf(info)
}

func (d Dir) seal(name string) seal {
	info, err := os.Lstat(filepath.Join(string(d), name))
	if err != nil {
		return seal{}
	}
	return sealOf(info)
}

// sealed reports whether all these files are as they were.
func (d Dir) sealed(seals map[string]seal) bool {
	for name, s := range seals {
		if s == (seal{}) || d.seal(name) != s {
			return false
		}
	}
	return true
}
