// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"podgate/haproxy"
)

// heldFile describes the removal that podgate holds, for "podgate confirm".
// confirmFile is that command's answer: it contains the Since of the removal.
const (
	heldFile    = "podgate.held.json"
	confirmFile = "podgate.confirm"
)

// Held is the content of heldFile.
type Held struct {
	Since time.Time    `json:"since"`
	Until time.Time    `json:"until"` // when the cluster is listed again, which decides on the removal
	Loss  haproxy.Loss `json:"loss"`
}

// WriteHeld replaces heldFile.
func (d Dir) WriteHeld(h Held) error {
	return d.replaceJSON(heldFile, h)
}

// ReadHeld returns the content of heldFile. The error is fs.ErrNotExist while no removal
// is held.
func (d Dir) ReadHeld() (h Held, err error) {
	text, err := os.ReadFile(d.Path(heldFile))
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("read %s: %w", heldFile, err)
	}
	return h, nil
}

// RemoveHeld removes heldFile and confirmFile. Either may be missing.
func (d Dir) RemoveHeld() error {
	return errors.Join(remove(d.Path(confirmFile)), remove(d.Path(heldFile)))
}

// WriteConfirm confirms the removal with that Since, and returns the path of
// confirmFile. The caller may be root.
func (d Dir) WriteConfirm(since time.Time) (path string, err error) {
	path = d.Path(confirmFile)
	temp := path + ".new"
	if err := remove(temp); err != nil {
		return path, err
	}
	// O_EXCL: podgate could have put a link there for root to follow.
	out, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return path, err
	}
	_, err = out.WriteString(confirmation(since) + "\n")
	// Whatever the umask: podgate must be able to read it.
	if err := errors.Join(err, out.Chmod(0o644), out.Close()); err != nil {
		return path, err
	}
	return path, os.Rename(temp, path)
}

// Confirmed reports whether an operator has confirmed the removal with that Since.
func (d Dir) Confirmed(since time.Time) bool {
	text, err := os.ReadFile(d.Path(confirmFile))
	return err == nil && strings.TrimSpace(string(text)) == confirmation(since)
}

func confirmation(since time.Time) string { return since.UTC().Format(time.RFC3339Nano) }
