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

// reader reads a Source repeatedly. It keeps the last valid version of each
// certificate, so that a file that becomes invalid removes nothing from service. It
// may not be used concurrently.
type reader struct {
	source  Source
	now     func() time.Time
	files   map[pair]parsedFile            // the files of the last Read
	valid   map[string]haproxy.Certificate // by Name: the last valid version
	bundles map[string]string              // by path of a CA bundle: the file name of its last valid version
	last    Set
	faults  map[string]bool // that the last Read found, confirmed or not
	began   bool            // Read was called
}

// parsedFile is the result of parsing two files, or one that is both.
type parsedFile struct {
	ids         [2]fileID
	certificate haproxy.Certificate
	bundle      []byte // of a CA bundle
	err         error
}

// fileID identifies one state of a file. Two writes within the resolution of the file
// system's clock may give the same fileID; recent reports that the last write is so
// recent that another one may follow.
type fileID struct {
	dev, inode   uint64
	size         int64
	mtime, ctime int64 // ctime changes with the permissions, too
	recent       bool
}

func newReader(s Source) *reader {
	return &reader{source: s, now: time.Now, files: map[pair]parsedFile{}, bundles: map[string]string{}}
}

// Read returns what the files hold. A file that is missing or invalid counts only
// when two Reads in a row find it so, because another program may be writing it; at
// the first Read it counts immediately. Again reports that there is an unconfirmed
// fault and that Read should be called again soon.
func (r *reader) Read() (s Set, again bool) {
	p := &pass{
		reader: r, set: Set{Files: &compile.TLSFiles{}, Authorities: map[string][]byte{}},
		certificates: map[string]haproxy.Certificate{}, faults: map[string]bool{}, files: map[pair]parsedFile{},
	}
	p.readCertificates()
	p.readBundles()
	again = len(p.faults) > 0 && !maps.Equal(p.faults, r.faults)
	for _, name := range slices.Sorted(maps.Keys(p.certificates)) {
		p.set.Certificates = append(p.set.Certificates, p.certificates[name])
	}
	slices.SortFunc(p.set.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Text, b.Text))
	})
	p.set.Problems = slices.Compact(p.set.Problems)
	r.files, r.valid, r.last, r.faults, r.began = p.files, p.certificates, p.set, p.faults, true
	return p.set, again
}

// pass is one Read.
type pass struct {
	*reader
	set          Set
	certificates map[string]haproxy.Certificate // by Name
	faults       map[string]bool
	files        map[pair]parsedFile
}

// report adds a Problem if it is confirmed.
func (p *pass) report(file, format string, args ...any) {
	problem := Problem{file, fmt.Sprintf(format, args...)}
	if p.confirmed(problem.String()) {
		p.set.Problems = append(p.set.Problems, problem)
	}
}

// confirmed records a fault. It reports whether the fault counts: the Read before
// found it as well, or there was no Read before.
func (p *pass) confirmed(fault string) bool {
	p.faults[fault] = true
	return !p.began || p.reader.faults[fault]
}

func (p *pass) readCertificates() {
	unread := false
	for _, path := range p.source.paths() {
		pairs, err := pairsIn(path)
		if err != nil {
			unread = true
			p.report(path, "%v; its certificates in service stay", shortReason(err))
			p.keepCertificatesOf(path)
			continue
		}
		for _, files := range pairs {
			p.readCertificate(files)
		}
	}
	if unread && !p.began {
		p.keepInService()
	}
	for name, c := range p.valid {
		if _, seen := p.certificates[name]; !seen && !p.confirmed("missing: "+name) {
			p.certificates[name] = c
		}
	}
	switch name := fileName(p.source.Default); {
	case p.source.Default == "" && p.source.FirstIsDefault:
		p.set.Files.Default = p.first()
	case p.source.Default != "" && p.certificates[name].Name != "":
		p.set.Files.Default = name
	}
}

// keepCertificatesOf keeps the certificates of a file or folder that cannot be read.
func (p *pass) keepCertificatesOf(path string) {
	for name, c := range p.valid {
		if isOf(c, path) {
			p.certificates[name] = c
		}
	}
}

// isOf reports whether a certificate is that of a file, or one of a folder.
func isOf(c haproxy.Certificate, path string) bool {
	return c.Source == path || strings.HasPrefix(c.Source, strings.TrimSuffix(path, "/")+"/")
}

// first returns the Name of the certificate that comes first in the order of the paths
// and of the files in a folder; "" without one.
func (p *pass) first() string {
	for _, path := range p.source.paths() {
		var of []haproxy.Certificate
		for _, c := range p.certificates {
			if isOf(c, path) {
				of = append(of, c)
			}
		}
		if len(of) > 0 {
			return slices.MinFunc(of, func(a, b haproxy.Certificate) int { return cmp.Compare(a.Source, b.Source) }).Name
		}
	}
	if len(p.certificates) == 0 {
		return ""
	}
	return slices.Min(slices.Collect(maps.Keys(p.certificates))) // the files of none can be read
}

// keepInService keeps all certificates that HAProxy has. At the first Read, it is not
// known which of them are those of a path that cannot be read.
func (p *pass) keepInService() {
	entries, err := os.ReadDir(p.source.InService)
	if err != nil {
		return // HAProxy has none
	}
	for _, e := range entries {
		name := e.Name()
		if _, known := p.certificates[name]; known || strings.HasPrefix(name, secretPrefix) {
			continue
		}
		if c, ok := inService(p.source.InService, name, "in service", p.now()); ok {
			p.certificates[name] = c
		}
	}
}

// inService returns the certificate that HAProxy has under a Name, from the folder of
// its files. It reports false if there is no valid one.
func inService(folder, name, source string, now time.Time) (haproxy.Certificate, bool) {
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

// readCertificate reads a certificate and its key. If they are invalid, the version in
// service stays.
func (p *pass) readCertificate(files pair) {
	name := fileName(files.certificate)
	c, err := p.parseCertificate(files)
	if err == nil {
		p.certificates[name] = c
		return
	}
	old, served := p.valid[name]
	if !served && !p.began {
		old, served = inService(p.source.InService, name, files.certificate, p.now())
	}
	effect := "it is not served"
	if served {
		p.certificates[name] = old
		effect = "the one in service stays"
		if old.Digest == c.Digest {
			effect = "it stays in service, because there is no newer one"
		}
	}
	p.report(files.certificate, "%v; %s", err, effect)
}

func (p *pass) parseCertificate(files pair) (haproxy.Certificate, error) {
	f := p.cached(files, func() (f parsedFile) {
		certificate, err := os.ReadFile(files.certificate)
		if err != nil {
			f.err = shortReason(err)
			return f
		}
		key := certificate
		if files.key != files.certificate {
			if key, err = os.ReadFile(files.key); err != nil {
				f.err = fmt.Errorf("its key %s %w", files.key, shortReason(err))
				return f
			}
		}
		if f.certificate, f.err = parse(files.certificate, certificate, key, p.now()); f.certificate.Name != "" {
			f.err = nil // usable, below, returns an error that depends on the time
		}
		return f
	})
	if f.err != nil {
		return f.certificate, f.err
	}
	return f.certificate, usable(f.certificate, p.now())
}

// cached returns the parsed files. It calls read unless the last Read parsed the same
// state of the files.
func (p *pass) cached(files pair, read func() parsedFile) parsedFile {
	ids := [2]fileID{p.fileID(files.certificate), p.fileID(files.key)}
	f, ok := p.reader.files[files]
	if !ok || f.ids != ids || ids[0].recent || ids[1].recent {
		f = read()
		f.ids = ids
	}
	p.files[files] = f
	return f
}

// fileID returns the fileID of the file at path. A missing file is always recent.
func (p *pass) fileID(path string) fileID {
	info, err := os.Stat(path)
	if err != nil {
		return fileID{recent: true}
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{recent: true}
	}
	const resolution = 2 * time.Second
	return fileID{
		dev: uint64(s.Dev), inode: s.Ino, size: s.Size, mtime: s.Mtim.Nano(), ctime: s.Ctim.Nano(),
		recent: p.now().UnixNano()-max(s.Mtim.Nano(), s.Ctim.Nano()) < int64(resolution),
	}
}

// readBundles reads the CA certificates that verify clients, and those that verify
// pods.
func (p *pass) readBundles() {
	if p.source.ClientCA != "" {
		p.set.Files.ClientCA = p.readBundle(p.source.ClientCA)
	}
	if p.source.CAFolder == "" {
		return
	}
	p.set.Files.BackendCAs = map[string]string{}
	files, err := bundlesIn(p.source.CAFolder)
	if err != nil {
		p.report(p.source.CAFolder, "%v; its CA certificates in service stay", shortReason(err))
		files = map[string]string{}
		for path := range p.bundles {
			if filepath.Dir(path) == p.source.CAFolder {
				files[strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))] = path
			}
		}
	}
	for name, path := range files {
		if file := p.readBundle(path); file != "" {
			p.set.Files.BackendCAs[name] = file
		}
	}
}

// readBundle returns the path at which HAProxy finds a CA bundle. If the bundle is
// invalid, this is that of its last valid version, or "" if there was none since
// podgate started.
func (p *pass) readBundle(path string) string {
	f := p.cached(pair{path, path}, func() (f parsedFile) {
		if f.bundle, f.err = os.ReadFile(path); f.err == nil {
			f.bundle, f.err = authorities(f.bundle)
		}
		return f
	})
	if f.err == nil {
		base := strings.TrimSuffix(fileName(path), ".pem")
		sum := sha256.Sum256(f.bundle)
		file := fmt.Sprintf("%s%s-%x.pem", authorityPrefix, base, sum[:6])
		p.set.Authorities[file], p.bundles[path] = f.bundle, file
		return filepath.Join(p.source.InService, file)
	}
	if old, ok := p.bundles[path]; ok {
		p.set.Authorities[old] = p.last.Authorities[old]
		p.report(path, "%v; its CA certificates in service stay", shortReason(f.err))
		return filepath.Join(p.source.InService, old)
	}
	p.report(path, "%v; frontends and ports that require these CA certificates are not served", shortReason(f.err))
	return ""
}

// The prefixes of file names in the folder InService: of CA bundles, and of the
// certificates of Secrets. Certificates of files have none.
const (
	authorityPrefix = "ca_"
	secretPrefix    = "secret_"
)
