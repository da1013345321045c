// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"podgate/daemon/compile"
	"podgate/haproxy"
)

// reader reads a Source again and again. It remembers what was good, so that a
// file that breaks takes nothing out of service. It is not used concurrently.
type reader struct {
	source Source
	now    func() time.Time
	read   map[pair]read                  // what the files held
	good   map[string]haproxy.Certificate // by Name: the last that could be served
	bundle map[string]string              // file name of a bundle in service, by its path
	last   Set
	doubts map[string]bool // bad news that were seen once
	began  bool
}

// read is what two files held in one state of each; a bundle is one file, twice.
type read struct {
	stamps [2]stamp
	c      haproxy.Certificate
	text   []byte // of a bundle
	err    error
}

// stamp tells one state of a file from another, but for two writes within the
// grain of the file system's clock: young says that there may have been one.
type stamp struct {
	dev, inode   uint64
	size         int64
	mtime, ctime int64
	young        bool
}

// newReader returns a reader that has read nothing yet.
func newReader(s Source) *reader {
	return &reader{
		source: s, now: time.Now,
		read: map[pair]read{}, good: map[string]haproxy.Certificate{}, bundle: map[string]string{},
		doubts: map[string]bool{},
	}
}

// Read returns what there is now. Bad news, of a file that broke or is gone,
// are believed when they are read twice, since writers may be at work; again
// reports that there were some and Read should be called soon. The first time
// all is believed.
func (r *reader) Read() (s Set, again bool) {
	w := &reading{reader: r, set: Set{Files: &compile.TLSFiles{}, Authorities: map[string][]byte{}}, certificates: map[string]haproxy.Certificate{}, doubts: map[string]bool{}, used: map[pair]bool{}}
	w.readCertificates()
	w.readBundles()
	again = !maps.Equal(w.doubts, r.doubts) && len(w.doubts) > 0
	r.doubts, r.began = w.doubts, true
	maps.DeleteFunc(r.read, func(p pair, _ read) bool { return !w.used[p] })
	r.good = w.certificates
	for _, name := range slices.Sorted(maps.Keys(w.certificates)) {
		w.set.Certificates = append(w.set.Certificates, w.certificates[name])
	}
	slices.SortFunc(w.set.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Text, b.Text))
	})
	w.set.Problems = slices.Compact(w.set.Problems)
	r.last = w.set
	return w.set, again
}

// reading is one Read.
type reading struct {
	*reader
	set          Set
	certificates map[string]haproxy.Certificate
	doubts       map[string]bool
	used         map[pair]bool
}

// tell adds a Problem, when it is believed.
func (w *reading) tell(file, format string, args ...any) {
	p := Problem{file, fmt.Sprintf(format, args...)}
	if w.believe(p.String()) {
		w.set.Problems = append(w.set.Problems, p)
	}
}

func (w *reading) believe(news string) bool {
	w.doubts[news] = true
	return !w.began || w.reader.doubts[news]
}

func (w *reading) readCertificates() {
	unread := false
	for _, path := range w.source.paths() {
		pairs, err := pairsIn(path)
		if err != nil {
			unread = true
			w.tell(path, "%v; what is served of it stays", readable(err))
			w.keepBelow(path)
			continue
		}
		for _, p := range pairs {
			w.readPair(p)
		}
	}
	if unread && !w.began {
		w.keepInService()
	}
	for name, c := range w.good {
		if _, seen := w.certificates[name]; !seen && !w.believe("gone: "+name) {
			w.certificates[name] = c
		}
	}
	if w.source.Default != "" {
		if name := fileName(w.source.Default); w.certificates[name].Name != "" {
			w.set.Files.Default = name
		}
	}
}

// keepBelow keeps what was good of a path that cannot be read now.
func (w *reading) keepBelow(path string) {
	for name, c := range w.good {
		if c.Source == path || strings.HasPrefix(c.Source, strings.TrimSuffix(path, "/")+"/") {
			w.certificates[name] = c
		}
	}
}

// keepInService keeps all that HAProxy has, where nobody knows what it is of.
func (w *reading) keepInService() {
	entries, err := os.ReadDir(w.source.InService)
	if err != nil {
		return // there is nothing
	}
	for _, e := range entries {
		name := e.Name()
		if _, known := w.certificates[name]; known || strings.HasPrefix(name, secretPrefix) {
			continue
		}
		if c, ok := InService(w.source.InService, name, "in service", w.now()); ok {
			w.certificates[name] = c
		}
	}
}

// InService returns the certificate that HAProxy has under a Name, from the
// folder of its files; false if there is none.
func InService(folder, name, source string, now time.Time) (haproxy.Certificate, bool) {
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return haproxy.Certificate{}, false
	}
	c, _ := parse(source, text, text, now)
	if c.Name == "" {
		return haproxy.Certificate{}, false
	}
	c.Name = name
	return c, true
}

func (w *reading) readPair(p pair) {
	name := fileName(p.certificate)
	c, err := w.parse(p)
	if err == nil {
		w.certificates[name] = c
		return
	}
	old, served := w.good[name]
	if !served && !w.began {
		old, served = InService(w.source.InService, name, p.certificate, w.now())
	}
	switch {
	case served && old.Digest == c.Digest:
		w.certificates[name] = old
		w.tell(p.certificate, "%v; it stays in service, because there is no newer one", err)
	case served:
		w.certificates[name] = old
		w.tell(p.certificate, "%v; the one in service stays", err)
	default:
		w.tell(p.certificate, "%v; it is not served", err)
	}
}

func (w *reading) parse(p pair) (haproxy.Certificate, error) {
	r := w.once(p, func() (r read) {
		certificate, err := os.ReadFile(p.certificate)
		if err != nil {
			r.err = readable(err)
			return r
		}
		key := certificate
		if p.key != p.certificate {
			if key, err = os.ReadFile(p.key); err != nil {
				r.err = fmt.Errorf("its key %s %w", p.key, readable(err))
				return r
			}
		}
		if r.c, r.err = parse(p.certificate, certificate, key, w.now()); r.c.Name != "" {
			r.err = nil // which may be over by the next time
		}
		return r
	})
	if r.err != nil {
		return r.c, r.err
	}
	return r.c, usable(r.c, w.now())
}

// once reads the files of p, unless it has and they are the same.
func (w *reading) once(p pair, do func() read) read {
	w.used[p] = true
	now := [2]stamp{w.stamp(p.certificate), w.stamp(p.key)}
	if old, ok := w.read[p]; ok && old.stamps == now && !now[0].young && !now[1].young {
		return old
	}
	r := do()
	r.stamps = now
	w.read[p] = r
	return r
}

// stamp is that of a file that is not there where there is none; permissions
// count too, since ctime is part of it.
func (w *reading) stamp(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{young: true}
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{young: true}
	}
	const grain = 2 * time.Second
	return stamp{
		dev: uint64(s.Dev), inode: s.Ino, size: s.Size, mtime: s.Mtim.Nano(), ctime: s.Ctim.Nano(),
		young: w.now().UnixNano()-max(s.Mtim.Nano(), s.Ctim.Nano()) < int64(grain),
	}
}

// readBundles reads the authorities of clients and of backends.
func (w *reading) readBundles() {
	if w.source.ClientCA != "" {
		w.set.Files.ClientCA = w.readBundle(w.source.ClientCA)
	}
	if w.source.CAFolder == "" {
		return
	}
	w.set.Files.BackendCAs = map[string]string{}
	files, err := bundlesIn(w.source.CAFolder)
	if err != nil {
		w.tell(w.source.CAFolder, "%v; what is served with it stays", readable(err))
		files = map[string]string{}
		for path := range w.bundle {
			if filepath.Dir(path) == w.source.CAFolder {
				files[strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))] = path
			}
		}
	}
	for name, path := range files {
		if file := w.readBundle(path); file != "" {
			w.set.Files.BackendCAs[name] = file
		}
	}
}

// readBundle returns the file that a bundle is written to, "" if there is none. One that
// breaks stays as it was for as long as the daemon runs.
func (w *reading) readBundle(path string) string {
	r := w.once(pair{path, path}, func() (r read) {
		if r.text, r.err = os.ReadFile(path); r.err == nil {
			r.text, r.err = authorities(r.text)
		}
		return r
	})
	text, err := r.text, r.err
	if err == nil {
		base := strings.TrimSuffix(fileName(path), ".pem")
		sum := sha256.Sum256(text)
		file := fmt.Sprintf("%s%s-%x.pem", authorityPrefix, base, sum[:6])
		w.set.Authorities[file], w.bundle[path] = text, file
		return filepath.Join(w.source.InService, file)
	}
	if old, ok := w.bundle[path]; ok {
		w.set.Authorities[old] = w.last.Authorities[old]
		w.tell(path, "%v; the authorities in service stay", readable(err))
		return filepath.Join(w.source.InService, old)
	}
	w.tell(path, "%v; what needs these authorities is not served", readable(err))
	return ""
}

// What the names of files in the folder of certificates begin with that are no
// certificates of files.
const (
	authorityPrefix = "ca_"
	secretPrefix    = "secret_"
)
