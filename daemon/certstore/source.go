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

// Source says where certificates are. Paths are absolute.
type Source struct {
	Paths     []string // files, and folders of them
	Default   string   // file; "" for none
	ClientCA  string   // file; "" for none
	CAFolder  string   // folder with NAME.pem and NAME.crt; "" for none
	InService string   // folder of the files that HAProxy has now, by Name
}

// FromConfig returns where podgate.toml says that certificates are.
func FromConfig(c *config.Config) Source {
	h := c.HTTPS
	return Source{
		Paths: h.Certificates, Default: h.DefaultCertificate, ClientCA: h.ClientCA, CAFolder: h.BackendCAFolder,
		InService: confdir.Dir(c.HAProxy.Folder).CertificateFolder(),
	}
}

// Set is what the files of a Source hold at one time. It is not changed once it was
// returned.
type Set struct {
	Certificates []haproxy.Certificate // by Name; they serve no names yet
	Files        *compile.TLSFiles     // in the folder InService
	Authorities  map[string][]byte     // of Files: PEM by file name, which changes with the content
	Problems     []Problem             // by File
}

// Problem is a file, or a folder, that is not served as it is.
type Problem struct {
	File string
	Text string // what is wrong and what becomes of it, one line
}

// String is "/etc/podgate/certificates/shop.pem: expired on ...".
func (p Problem) String() string { return p.File + ": " + p.Text }

// pair is where one certificate and its key are: two files or one.
type pair struct{ certificate, key string }

// pairsIn finds the certificates at path: that of a file, or those of a folder,
// which are FILE.pem with a key within or beside it, FILE.crt or FILE.cer with
// FILE.key, and folders that hold fullchain.pem with privkey.pem (as certbot
// has them) or tls.crt with tls.key (as Kubernetes does).
func pairsIn(path string) ([]pair, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []pair{{path, keyBeside(path)}}, nil
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
			pairs = append(pairs, pair{file, keyBeside(file)})
			continue
		}
		if p, ok := folderPair(file); ok {
			pairs = append(pairs, p)
		}
	}
	return pairs, nil
}

// folderPair finds the one certificate that a folder is all about.
func folderPair(folder string) (pair, bool) {
	for _, p := range []pair{{"fullchain.pem", "privkey.pem"}, {"tls.crt", "tls.key"}} {
		p = pair{filepath.Join(folder, p.certificate), filepath.Join(folder, p.key)}
		if _, err := os.Stat(p.certificate); err == nil {
			return p, true
		}
	}
	return pair{}, false
}

// keyBeside is FILE.key for FILE.pem, if that is there, else the file itself.
func keyBeside(file string) string {
	key := strings.TrimSuffix(file, filepath.Ext(file)) + ".key"
	if _, err := os.Stat(key); err == nil {
		return key
	}
	return file
}

// readable says in short why a file cannot be read.
func readable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("is not there")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("may not be read by podgate (give it to group podgate, mode 0640)")
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return fmt.Errorf("cannot be read: %w", pathErr.Err)
	}
	return err
}

// bundlesIn finds the CA bundles of a folder, by their names.
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
