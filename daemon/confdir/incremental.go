// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"syscall"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// written is one state of the files that follow what HAProxy serves. It knows the
// offset of each backend in ConfigFile, so that the next one, which differs in the
// servers of a few backends, copies the others.
type written struct {
	loaded       haproxy.State
	certificates []haproxy.Certificate
	maps         []haproxy.Map
	servers      [][]haproxy.Server // observed, by the index of their backend in loaded

	sections *cfgfile.Sections
	ends     []int64           // offset in ConfigFile of the end of each backend
	ids      map[string]fileID // of the files, by name
}

// newWritten returns the state to write for have. The map of servers in have may change
// later; the lists in that map do not.
func newWritten(have haproxy.Running) *written {
	w := &written{loaded: have.Loaded, certificates: have.Certificates, maps: have.Maps}
	w.servers = make([][]haproxy.Server, have.Loaded.Backends.Len())
	for i, b := range have.Loaded.Backends.All() {
		w.servers[i] = have.Servers[b.Name]
	}
	return w
}

// follows reports whether w differs from last in servers and certificates only. It
// compares long lists by their pointers.
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

// writeAll writes every file that does not have the right content already, the
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
	w.ids = map[string]fileID{}
	for name := range files.Maps {
		w.ids[name] = d.fileID(name)
	}
	w.ids[loadedFile], w.ids[cfgfile.ConfigFile] = d.fileID(loadedFile), d.fileID(cfgfile.ConfigFile)
	return nil
}

// state is the loaded State with the servers that are in service now.
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

// writeChanges writes what differs from last, which w follows. It returns errTouched
// if another process changed a file that it would copy from.
func (w *written) writeChanges(d Dir, last *written) error {
	if !d.unchanged(last.ids) {
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
	w.sections, w.ends, w.ids = last.sections, last.ends, maps.Clone(last.ids)
	if slices.EqualFunc(w.servers, last.servers, haproxy.Same[haproxy.Server]) {
		return nil
	}
	old, err := os.Open(d.Path(cfgfile.ConfigFile))
	if err != nil {
		return errTouched
	}
	defer old.Close()
	if err := d.put([]file{{cfgfile.ConfigFile, w.config(last, old)}}, ordinaryMode); err != nil {
		return err
	}
	w.ids[cfgfile.ConfigFile] = d.fileID(cfgfile.ConfigFile)
	return nil
}

var errTouched = errors.New("another process changed the files")

// config writes ConfigFile, and sets ends. Backends that have the same servers in last,
// if that is not nil, are copied from old, the file that last wrote.
func (w *written) config(last *written, old *os.File) content {
	return func(to io.Writer) error {
		w.ends = make([]int64, w.loaded.Backends.Len())
		if _, err := to.Write(w.sections.Head()); err != nil {
			return err
		}
		at := int64(len(w.sections.Head()))
		copied := at // offset in old of what is yet to be copied
		var section []byte
		part := make([]byte, partSize) // there may be as many copies as backends
		for i, b := range w.loaded.Backends.All() {
			if last != nil && haproxy.Same(w.servers[i], last.servers[i]) {
				at += last.ends[i] - last.begin(i)
				w.ends[i] = at
				continue
			}
			if last != nil {
				if err := copyPart(to, old, copied, last.begin(i), part); err != nil {
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
		if err := copyPart(to, old, copied, last.end(), part); err != nil {
			return err
		}
		if !last.ids[cfgfile.ConfigFile].identifies(old) {
			return errTouched
		}
		return nil
	}
}

// begin is the offset of a backend in ConfigFile.
func (w *written) begin(i int) int64 {
	if i == 0 {
		return int64(len(w.sections.Head()))
	}
	return w.ends[i-1]
}

// end is the length of ConfigFile.
func (w *written) end() int64 { return w.begin(len(w.ends)) }

// copyPart copies the part of a file between two offsets, through a buffer.
func copyPart(to io.Writer, file *os.File, from, end int64, part []byte) error {
	for from < end {
		n, err := file.ReadAt(part[:min(int64(len(part)), end-from)], from)
		if err != nil {
			return errTouched // the file is shorter than it was
		}
		if _, err := to.Write(part[:n]); err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}

// fileID identifies one state of a file: another file under the same name, and the
// same file after a change, has another fileID. The zero fileID stands for no file.
type fileID struct {
	dev, ino          uint64
	size              int64
	modified, changed syscall.Timespec
}

func idOf(info fs.FileInfo) fileID {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}
	}
	return fileID{uint64(s.Dev), s.Ino, s.Size, s.Mtim, s.Ctim}
}

// identifies reports whether the open file has this fileID.
func (s fileID) identifies(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && s == idOf(info)
}

func (d Dir) fileID(name string) fileID {
	info, err := os.Lstat(d.Path(name))
	if err != nil {
		return fileID{}
	}
	return idOf(info)
}

// unchanged reports whether all these files have their fileIDs.
func (d Dir) unchanged(ids map[string]fileID) bool {
	for name, id := range ids {
		if id == (fileID{}) || d.fileID(name) != id {
			return false
		}
	}
	return true
}
