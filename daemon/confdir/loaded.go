// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"encoding/json"
	"os"

	"podgate/haproxy"
)

// loadedFile contains the State that the configuration was rendered from, so that
// podgate knows after a restart what HAProxy has loaded. Without it, the restart
// costs a reload. HAProxy does not read it: it loads only *.cfg of a folder.
const loadedFile = "podgate.loaded.json"

// beforeFile is the loadedFile of the generation before. If podgate is killed during
// a reload, HAProxy has loaded one of the two.
const beforeFile = "podgate.before.json"

// loaded is the content of loadedFile.
type loaded struct {
	Generation string        `json:"generation"`
	State      haproxy.State `json:"state"` // without servers and routes
}

// writeLoaded replaces loadedFile. A loadedFile of another generation becomes
// beforeFile.
func (d Dir) writeLoaded(generation string, s haproxy.State) error {
	if last := d.lastGeneration(); last != "" && last != generation {
		if err := os.Rename(d.Path(loadedFile), d.Path(beforeFile)); err != nil {
			return err
		}
	}
	// As a slice: encoding/json would check and copy the megabytes of a List once more.
	type state struct {
		haproxy.State
		Backends []*haproxy.Backend
	}
	structure := s.Structure()
	return d.replaceJSON(loadedFile, struct {
		Generation string `json:"generation"`
		State      state  `json:"state"`
	}{generation, state{structure, structure.Backends.Slice()}})
}

// lastGeneration is the generation in loadedFile; "" if it cannot be read.
func (d Dir) lastGeneration() string {
	file, err := os.Open(d.Path(loadedFile))
	if err != nil {
		return ""
	}
	defer file.Close()
	var generation string
	decoder := json.NewDecoder(file)
	for range 3 { // "{", "generation" and its value; what follows may be megabytes
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		generation, _ = token.(string)
	}
	return generation
}

// Loaded returns the State of that generation, without servers and routes, if Write
// wrote it last or before.
func (d Dir) Loaded(generation string) (haproxy.State, bool) {
	for _, l := range d.remembered() {
		if l.Generation == generation {
			return l.State, true
		}
	}
	return haproxy.State{}, false
}

// Remembered returns the States that Write wrote last and before, without servers
// and routes. Either may be missing.
func (d Dir) Remembered() (all []haproxy.State) {
	for _, l := range d.remembered() {
		all = append(all, l.State)
	}
	return all
}

func (d Dir) remembered() (all []loaded) {
	for _, name := range []string{loadedFile, beforeFile} {
		text, err := os.ReadFile(d.Path(name))
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
