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

// Dir is the path of podgate's folder, which HAProxy loads.
type Dir string

// Path returns the path of a file in the folder.
func (d Dir) Path(name string) string { return filepath.Join(string(d), name) }

// Write writes files, which were rendered from s, and records s for Loaded. Each
// file is replaced atomically, the configuration last; on an error some of them are
// new. A file that has the content already is not touched.
func (d Dir) Write(files cfgfile.Files, s haproxy.State) error {
	if err := d.writeOthers(files, s); err != nil {
		return err
	}
	return d.replaceWith(cfgfile.ConfigFile, files.WriteConfig, ordinaryMode)
}

// writeOthers is Write without the configuration.
func (d Dir) writeOthers(files cfgfile.Files, s haproxy.State) error {
	if err := d.WriteMaps(files.Maps); err != nil {
		return err
	}
	if err := d.WriteCrtList(files.CrtList, s.Certificates); err != nil {
		return err
	}
	return d.writeLoaded(files.Generation, s)
}

// WriteMaps writes maps, by file name, in the order of the names.
func (d Dir) WriteMaps(texts map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if err := d.replace(name, texts[name]); err != nil {
			return err
		}
	}
	return nil
}

// WriteServerState writes the server states that HAProxy takes over when it is
// loaded next (configuration.txt "server-state-file").
func (d Dir) WriteServerState(state []byte) error { return d.replace(cfgfile.ServerStateFile, state) }

// Names are the names of podgate's files, without certificates.
func (d Dir) Names() []string {
	names := []string{cfgfile.ConfigFile, cfgfile.ServerStateFile, loadedFile, beforeFile, drainFile, addedFile, servicesFile, relaySecretFile, cfgfile.CrtListFile, cfgfile.TicketKeysFile}
	for _, m := range slices.Concat(haproxy.MapNames(), haproxy.RuleMapNames()) {
		names = append(names, cfgfile.MapFile(m))
	}
	return names
}

// Tidy removes the files that a killed podgate left: half-written files, and the file of
// a removal that it held. Server states stay until podgate has read the present ones.
func (d Dir) Tidy() error {
	var err error
	if _, missing := os.Stat(d.Path(cfgfile.ServerStateFile)); errors.Is(missing, fs.ErrNotExist) {
		err = d.WriteServerState(cfgfile.EmptyServerState())
	}
	return errors.Join(d.sweep(), d.RemoveHeld(), err)
}

// sweep removes temporary files of a podgate that was killed.
func (d Dir) sweep() error {
	var errs []error
	for _, name := range d.Names() {
		temps, err := filepath.Glob(d.Path("." + name + ".*"))
		errs = append(errs, err)
		for _, temp := range temps {
			errs = append(errs, remove(temp)) // a command may have renamed it
		}
	}
	staging, err := filepath.Glob(d.Path(cfgfile.StagingPrefix + "*"))
	errs = append(errs, err)
	temps, err := filepath.Glob(filepath.Join(d.CertificateFolder(), ".*"))
	errs = append(errs, err)
	for _, left := range append(staging, temps...) {
		errs = append(errs, os.RemoveAll(left))
	}
	return errors.Join(errs...)
}
