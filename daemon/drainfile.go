// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// drainFile stands in our folder while the node is to drain. Who puts it there,
// and who takes it away, tells HAProxy too: it holds with podgate down as well,
// and a podgate that runs keeps HAProxy to it.
const drainFile = "podgate.drain"

// drain is what drainFile says.
type drain struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // zero is until undrain
	// UntilBoot is a drain that ends when the machine is booted again.
	UntilBoot bool `json:"until_boot,omitempty"`
}

// drain returns what drainFile says, and false if the node is not to drain. A
// file that cannot be understood drains: somebody wanted it.
func (f folder) drain() (drain, bool) {
	text, err := os.ReadFile(filepath.Join(string(f), drainFile))
	if err != nil {
		return drain{}, !errors.Is(err, fs.ErrNotExist)
	}
	var d drain
	_ = json.Unmarshal(text, &d)
	return d, true
}

func (f folder) writeDrain(d drain) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return f.replace(drainFile, append(text, '\n'))
}

// removeDrain ends the drain on disk. It is no error if there is none.
func (f folder) removeDrain() error {
	if err := os.Remove(filepath.Join(string(f), drainFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.sync()
}

// over reports whether the drain has ended by itself.
func (d drain) over() bool {
	now := time.Now()
	return !d.Until.IsZero() && !now.Before(d.Until) || d.UntilBoot && d.Since.Before(booted(now))
}

// booted is when the machine came up, by the clock of now (clock_gettime(2)). It
// needs nothing of /proc, which the unit hides.
func booted(now time.Time) time.Time {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}
	}
	return now.Add(-time.Duration(up.Nano()))
}
