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

// MostChanges is how many Changes are kept.
const MostChanges = 400

// historyFile keeps Changes over a restart: a JSON object a line, the oldest
// first.
type historyFile struct {
	path  string  // "" keeps nothing
	saved *Change // the last that stands in it
}

// load reads the Changes. A line that cannot be read is left out, and told in
// the error beside those that can.
func (f *historyFile) load() ([]*Change, error) {
	if f.path == "" {
		return nil, nil
	}
	const most = 4 << 20 // hundreds of lines are a tenth of it: what is larger is not ours
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.Size() > most:
		return nil, fmt.Errorf("%s: %d bytes are no history of ours, it begins anew", f.path, info.Size())
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
		err = fmt.Errorf("%s: %d lines cannot be read and are left out", f.path, broken)
	}
	return changes, err
}

// save writes changes where they are not those that were saved last. The old
// file stays whole until the new one is.
func (f *historyFile) save(changes []*Change) error {
	err := f.write(changes)
	// The temporary file has another name each time; what is told is the same.
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
	defer os.Remove(temp.Name()) // gone already if all went well
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
