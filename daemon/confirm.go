// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/config"
)

// heldFile tells what is held, confirmFile that it may go: it holds the former's
// time. Both lie in the folder of ours.
const (
	heldFile    = "podgate.held.json"
	confirmFile = "podgate.confirm"
)

// ErrNothingHeld is of a Confirm that has nothing to do.
var ErrNothingHeld = errors.New("nothing is held")

// ReadHeld returns what podgate holds at the moment, or ErrNothingHeld.
func ReadHeld(c *config.Config) (admin.Held, error) {
	var h admin.Held
	text, err := os.ReadFile(filepath.Join(c.HAProxy.Folder, heldFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h, ErrNothingHeld
	case err != nil:
		return h, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("read %s: %w", heldFile, err)
	}
	return h, nil
}

// Confirm lets go what is held, and waits until podgate has taken that, or until
// ctx ends.
func Confirm(ctx context.Context, c *config.Config, h admin.Held) error {
	file := filepath.Join(c.HAProxy.Folder, confirmFile)
	temp := file + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Not through a link, which podgate could have put there for root to follow.
	out, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = out.WriteString(stamp(h.Since) + "\n")
	// Whatever the umask: podgate must read it.
	if err := errors.Join(err, out.Chmod(0o644), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, file); err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := ReadHeld(c)
		if errors.Is(err, ErrNothingHeld) || err == nil && !now.Since.Equal(h.Since) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("confirm: podgate does not take %s (does it run?)", file)
		}
	}
}

func stamp(since time.Time) string { return since.UTC().Format(time.RFC3339Nano) }

// confirmed reports whether an operator lets go what is held since then.
func (f folder) confirmed(since time.Time) bool {
	text, err := os.ReadFile(filepath.Join(string(f), confirmFile))
	return err == nil && strings.TrimSpace(string(text)) == stamp(since)
}

func (f folder) writeHeld(h *hold) error {
	text, err := json.Marshal(admin.Held{Since: h.since, Until: h.until, Loss: h.loss})
	if err != nil {
		return err
	}
	return f.replace(heldFile, append(text, '\n'))
}

// removeHeld also removes a confirmation, whether it was needed or not.
func (f folder) removeHeld() error {
	var errs []error
	for _, name := range []string{confirmFile, heldFile} {
		if err := os.Remove(filepath.Join(string(f), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
