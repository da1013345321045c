// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/check"
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
	if err := f.writeBeside(files, of); err != nil {
		return err
	}
	return f.replaceWith(cfgfile.ConfigFile, files.WriteConfig, ordinaryMode)
}

// writeBeside is write of all but the configuration.
func (f folder) writeBeside(files cfgfile.Files, of haproxy.State) error {
	if err := f.writeMaps(files.Maps); err != nil {
		return err
	}
	if err := f.writeTLS(files.CrtList, of.Certificates); err != nil {
		return err
	}
	return f.remember(files.Generation, of)
}

// remember writes loadedFile. That of another generation becomes beforeFile.
func (f folder) remember(generation string, of haproxy.State) error {
	memory, err := json.Marshal(loaded{generation, of.Structure()})
	if err != nil {
		return fmt.Errorf("write %s: %w", loadedFile, err)
	}
	if last := f.lastGeneration(); last != "" && last != generation {
		if err := os.Rename(filepath.Join(string(f), loadedFile), filepath.Join(string(f), beforeFile)); err != nil {
			return err
		}
	}
	return f.replace(loadedFile, append(memory, '\n'))
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
			if err := os.Remove(half); !errors.Is(err, fs.ErrNotExist) { // a command may be writing
				errs = append(errs, err)
			}
		}
	}
	staging, err := filepath.Glob(filepath.Join(string(f), check.StagingPrefix+"*"))
	errs = append(errs, err)
	halves, err := filepath.Glob(filepath.Join(string(f.certificateFolder()), ".*"))
	errs = append(errs, err)
	for _, left := range append(staging, halves...) {
		errs = append(errs, os.RemoveAll(left))
	}
	return errors.Join(errs...)
}
