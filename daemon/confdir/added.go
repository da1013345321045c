// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"podgate/haproxy"
)

// addedFile names the backends that were added to the running HAProxy and that
// loadedFile may lack. It is written before HAProxy is asked to add them, so that
// a podgate that starts after one was killed knows which backends are podgate's.
const addedFile = "podgate.added.json"

// Added is the content of addedFile. It is valid for one process: another process of
// the same generation has only the backends of its configuration.
type Added struct {
	Generation string             `json:"generation"`
	Pid        int                `json:"pid"`
	Backends   []*haproxy.Backend `json:"backends"` // by Name, without servers
}

// WriteAdded replaces addedFile. It does not sync the file: if the machine crashes, the
// HAProxy process with these backends ends too.
func (d Dir) WriteAdded(a Added) error {
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("write %s: %w", addedFile, err)
	}
	temp, err := os.CreateTemp(string(d), "."+addedFile+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // it is renamed if all went well
	_, err = temp.Write(append(text, '\n'))
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), d.Path(addedFile))
}

// ReadAdded returns the backends that WriteAdded wrote for that process; nil if
// it wrote none, or if the file cannot be read. It returns backends in spares for every
// process of that generation, which itself knows whether it has them.
func (d Dir) ReadAdded(generation string, pid int) []*haproxy.Backend {
	var a Added
	text, err := os.ReadFile(d.Path(addedFile))
	if err != nil || json.Unmarshal(text, &a) != nil || a.Generation != generation {
		return nil
	}
	if a.Pid != pid {
		return slices.DeleteFunc(a.Backends, func(b *haproxy.Backend) bool { return b.Spare == "" })
	}
	return a.Backends
}
