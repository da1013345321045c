// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// CertificateFolder is the path of the folder from which HAProxy reads
// certificates and authorities.
func (d Dir) CertificateFolder() string { return d.Path(cfgfile.CertificateFolder) }

// WriteCrtList writes those certificates that have a PEM, then the list that
// names them, each atomically. A nil list means that no frontend ends TLS, and
// nothing is written.
func (d Dir) WriteCrtList(crtList []byte, certificates []haproxy.Certificate) error {
	if crtList == nil {
		return nil
	}
	pems := map[string][]byte{}
	for _, c := range certificates {
		if c.PEM != nil {
			pems[c.Name] = c.PEM
		}
	}
	if err := d.WriteCertificates(pems); err != nil {
		return err
	}
	if err := d.ensureTicketKeys(); err != nil {
		return err
	}
	return d.replace(cfgfile.CrtListFile, crtList)
}

// WriteCertificates writes files into CertificateFolder, by name. They are
// readable only by podgate's user and root, which HAProxy's master is, and by the
// folder's group if the operator has set its setgid bit.
func (d Dir) WriteCertificates(pems map[string][]byte) error {
	if len(pems) == 0 {
		return nil
	}
	folder := Dir(d.CertificateFolder())
	if err := os.Mkdir(string(folder), 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(string(folder))
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	if info.Mode()&fs.ModeSetgid != 0 {
		mode = 0o640
	}
	var files []file
	for _, name := range slices.Sorted(maps.Keys(pems)) {
		files = append(files, file{name, whole(pems[name])})
	}
	return folder.replaceAll(files, mode)
}

// ReadCertificate returns the file of a certificate. The error is fs.ErrNotExist
// if there is no such file.
func (d Dir) ReadCertificate(name string) ([]byte, error) {
	return os.ReadFile(cfgfile.CertificatePath(string(d), name))
}

// HasCertificate reports whether the certificate has a file.
func (d Dir) HasCertificate(name string) bool {
	_, err := os.Stat(cfgfile.CertificatePath(string(d), name))
	return err == nil
}

// RemoveCertificate removes the file of a certificate, if there is one. It leaves a name
// that is an absolute path alone, because that file is not podgate's.
func (d Dir) RemoveCertificate(name string) error {
	if filepath.IsAbs(name) {
		return nil
	}
	return remove(cfgfile.CertificatePath(string(d), name))
}

// CertificateNames are the names of the files in CertificateFolder.
func (d Dir) CertificateNames() (names []string) {
	entries, err := os.ReadDir(d.CertificateFolder())
	if err != nil {
		return nil // the folder is made with the first certificate
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// Present returns those certificates that have a file: HAProxy does not start
// with a list that names others.
func (d Dir) Present(certificates []haproxy.Certificate) []haproxy.Certificate {
	return slices.DeleteFunc(slices.Clone(certificates), func(c haproxy.Certificate) bool { return !d.HasCertificate(c.Name) })
}
