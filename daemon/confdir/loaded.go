// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"podgate/haproxy"
)

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

// writeLoaded writes loadedFile. That of another generation becomes beforeFile.
func (d Dir) writeLoaded(generation string, of haproxy.State) error {
	memory, err := json.Marshal(loaded{generation, of.Structure()})
	if err != nil {
		return fmt.Errorf("write %s: %w", loadedFile, err)
	}
	if last := d.lastGeneration(); last != "" && last != generation {
		if err := os.Rename(filepath.Join(string(d), loadedFile), filepath.Join(string(d), beforeFile)); err != nil {
			return err
		}
	}
	return d.replace(loadedFile, append(memory, '\n'))
}

// lastGeneration is that of loadedFile, "" if there is none.
func (d Dir) lastGeneration() string {
	file, err := os.Open(filepath.Join(string(d), loadedFile))
	if err != nil {
		return ""
	}
	defer file.Close()
	var generation string
	decoder := json.NewDecoder(file)
	for range 3 { // "{", "generation" and what it is: the rest may be megabytes
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		generation, _ = token.(string)
	}
	return generation
}

// Loaded returns what Write remembered of that generation.
func (d Dir) Loaded(generation string) (haproxy.State, bool) {
	for _, l := range d.remembered() {
		if l.Generation == generation {
			return l.State, true
		}
	}
	return haproxy.State{}, false
}

// Remembered are the States that Write remembered last and before.
func (d Dir) Remembered() (all []haproxy.State) {
	for _, l := range d.remembered() {
		all = append(all, l.State)
	}
	return all
}

// remembered is what Write remembered last and before.
func (d Dir) remembered() (all []loaded) {
	for _, name := range []string{loadedFile, beforeFile} {
		text, err := os.ReadFile(filepath.Join(string(d), name))
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
