// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"podgate/daemon/compile"
	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/haproxy"
)

// Source is where certificates are. Paths are absolute.
type Source struct {
	Paths     []string // files, and folders of them
	Default   string   // file; "" for none
	ClientCA  string   // file; "" for none
	CAFolder  string   // folder with NAME.pem and NAME.crt; "" for none
	InService string   // folder of the files that HAProxy has now, by Name

	FirstIsDefault bool // without Default, the first certificate of Paths is the default one
}

// FromConfig returns the Source that podgate.toml sets.
func FromConfig(c *config.Config) Source {
	h := c.HTTPS
	return Source{
		Paths: h.Certificates, Default: h.DefaultCertificate, ClientCA: h.ClientCA, CAFolder: h.BackendCAFolder,
		InService: confdir.Dir(c.HAProxy.Folder).CertificateFolder(), FirstIsDefault: c.Compatibility.ServiceLoadbalancer,
	}
}

// Set is what the files of a Source hold at one time. It is immutable.
type Set struct {
	Certificates []haproxy.Certificate // by Name; they serve no names yet
	Files        *compile.TLSFiles     // in the folder InService
	Authorities  map[string][]byte     // of Files: PEM by file name, which changes with the content
	Problems     []Problem             // by File
}

// Problem is a file or folder of which not everything is served.
type Problem struct {
	File string
	Text string // what is wrong and what the effect is, one line
}

// String is "/etc/podgate/certificates/shop.pem: expired on ...".
func (p Problem) String() string { return p.File + ": " + p.Text }

// pair is the paths of a certificate and its key, which may be the same file.
type pair struct{ certificate, key string }

// pairsIn returns the certificate of a file, or those of a folder: FILE.pem, FILE.crt
// and FILE.cer, each with its key in FILE.key or in the same file, and subfolders that
// have fullchain.pem with privkey.pem (certbot) or tls.crt with tls.key (Kubernetes).
func pairsIn(path string) ([]pair, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []pair{{path, keyFile(path)}}, nil
	}
	if p, ok := folderPair(path); ok {
		return []pair{p}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var pairs []pair
	for _, e := range entries {
		name := e.Name()
		file := filepath.Join(path, name)
		if strings.HasPrefix(name, ".") {
			continue
		}
		switch filepath.Ext(name) {
		case ".pem", ".crt", ".cer":
			if info, err := os.Stat(file); err == nil && info.IsDir() {
				break
			}
			pairs = append(pairs, pair{file, keyFile(file)})
			continue
		}
		if p, ok := folderPair(file); ok {
			pairs = append(pairs, p)
		}
	}
	return pairs, nil
}

// folderPair returns the files of a folder for a single certificate. It reports false
// for any other folder.
func folderPair(folder string) (pair, bool) {
	for _, p := range []pair{{"fullchain.pem", "privkey.pem"}, {"tls.crt", "tls.key"}} {
		p = pair{filepath.Join(folder, p.certificate), filepath.Join(folder, p.key)}
		if _, err := os.Stat(p.certificate); err == nil {
			return p, true
		}
	}
	return pair{}, false
}

// keyFile returns FILE.key for FILE.pem if that exists, else the file itself.
func keyFile(file string) string {
	key := strings.TrimSuffix(file, filepath.Ext(file)) + ".key"
	if _, err := os.Stat(key); err == nil {
		return key
	}
	return file
}

// shortReason shortens an error of reading a file: the path is shown elsewhere.
func shortReason(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("does not exist")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("cannot be read by podgate (give it to group podgate, mode 0640)")
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return fmt.Errorf("cannot be read: %w", pathErr.Err)
	}
	return err
}

// bundlesIn returns the paths of the CA bundles of a folder, by name.
func bundlesIn(folder string) (map[string]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(e.Name(), ".pem"), ".crt")
		if name == e.Name() || strings.HasPrefix(name, ".") || files[name] != "" {
			continue
		}
		files[name] = filepath.Join(folder, e.Name())
	}
	return files, nil
}

func (s Source) paths() []string {
	paths := slices.Clone(s.Paths)
	if s.Default != "" && !slices.Contains(paths, s.Default) {
		paths = append(paths, s.Default)
	}
	return paths
}
