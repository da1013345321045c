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

// Path is that of a file of the folder.
func (d Dir) Path(name string) string { return filepath.Join(string(d), name) }

// Write puts files in the folder, the configuration last, each whole or not at
// all, and remembers of what State they are. Files that are the same already
// are not touched.
func (d Dir) Write(files cfgfile.Files, of haproxy.State) error {
	if err := d.writeOthers(files, of); err != nil {
		return err
	}
	return d.replaceWith(cfgfile.ConfigFile, files.WriteConfig, ordinaryMode)
}

// writeOthers is Write of all but the configuration.
func (d Dir) writeOthers(files cfgfile.Files, of haproxy.State) error {
	if err := d.WriteMaps(files.Maps); err != nil {
		return err
	}
	if err := d.WriteCrtList(files.CrtList, of.Certificates); err != nil {
		return err
	}
	return d.writeLoaded(files.Generation, of)
}

// WriteMaps writes maps, by file name.
func (d Dir) WriteMaps(texts map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if err := d.replace(name, texts[name]); err != nil {
			return err
		}
	}
	return nil
}

// WriteServerState writes what HAProxy is to know of its servers when it next loads.
func (d Dir) WriteServerState(state []byte) error { return d.replace(cfgfile.ServerStateFile, state) }

// Names are the files that podgate keeps in the folder.
func (d Dir) Names() []string {
	names := []string{cfgfile.ConfigFile, cfgfile.ServerStateFile, loadedFile, beforeFile, drainFile, addedFile, relaySecretFile, cfgfile.CrtListFile, cfgfile.TicketKeysFile}
	for _, m := range haproxy.MapNames() {
		names = append(names, cfgfile.MapFile(m))
	}
	return names
}

// Tidy removes what a podgate that was killed left: files that are half written, a
// removal that it held, and server states that are no longer true.
func (d Dir) Tidy() error {
	return errors.Join(d.sweep(), d.RemoveHeld(), d.WriteServerState(cfgfile.EmptyServerState()))
}

// sweep removes what a podgate that was killed left half written.
func (d Dir) sweep() error {
	var errs []error
	for _, name := range d.Names() {
		halves, err := filepath.Glob(filepath.Join(string(d), "."+name+".*"))
		errs = append(errs, err)
		for _, half := range halves {
			if err := os.Remove(half); !errors.Is(err, fs.ErrNotExist) { // a command may be writing
				errs = append(errs, err)
			}
		}
	}
	staging, err := filepath.Glob(filepath.Join(string(d), cfgfile.StagingPrefix+"*"))
	errs = append(errs, err)
	halves, err := filepath.Glob(filepath.Join(d.CertificateFolder(), ".*"))
	errs = append(errs, err)
	for _, left := range append(staging, halves...) {
		errs = append(errs, os.RemoveAll(left))
	}
	return errors.Join(errs...)
}
