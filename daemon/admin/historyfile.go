// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// MostChanges is the number of Changes in the history.
const MostChanges = 400

// historyFile keeps Changes over a restart: one JSON object per line, oldest first.
type historyFile struct {
	path  string  // "" for no file
	saved *Change // the last Change in it
}

// load reads the Changes. It ignores invalid lines: then it returns the other
// Changes and an error.
func (f *historyFile) load() ([]*Change, error) {
	if f.path == "" {
		return nil, nil
	}
	const most = 4 << 20 // ten times the size of MostChanges lines
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.Size() > most:
		return nil, fmt.Errorf("%s: %d bytes are too many for a history, a new one is started", f.path, info.Size())
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	var changes []*Change
	broken := 0
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		c := new(Change)
		if err := json.Unmarshal(line, c); err != nil || c.At.IsZero() || c.What == "" {
			broken++
			continue
		}
		changes = append(changes, c)
	}
	if extra := len(changes) - MostChanges; extra > 0 {
		changes = slices.Clone(changes[extra:])
	}
	if broken > 0 {
		err = fmt.Errorf("%s: %d invalid lines are ignored", f.path, broken)
	}
	return changes, err
}

// save writes changes unless they were saved before. It replaces the file
// atomically.
func (f *historyFile) save(changes []*Change) error {
	err := f.write(changes)
	// The name of the temporary file differs each time; the error must not.
	if half, ok := errors.AsType[*fs.PathError](err); ok {
		return half.Err
	}
	return err
}

func (f *historyFile) write(changes []*Change) error {
	if f.path == "" || len(changes) == 0 || changes[len(changes)-1] == f.saved {
		return nil
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	for _, c := range changes {
		if err := e.Encode(c); err != nil {
			return err
		}
	}
	temp, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // has no effect after the rename
	_, err = temp.Write(text.Bytes())
	if err := errors.Join(err, temp.Chmod(0o640), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), f.path); err != nil {
		return err
	}
	f.saved = changes[len(changes)-1]
	return nil
}
