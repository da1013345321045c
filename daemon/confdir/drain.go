// SPDX-License-Identifier: Apache-2.0

package confdir

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

// Drain is what drainFile says.
type Drain struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // zero is until undrain
	// UntilBoot is a drain that ends when the machine is booted again.
	UntilBoot bool `json:"until_boot,omitempty"`
}

// ReadDrain returns what drainFile says, and false if the node is not to drain. A
// file that cannot be understood drains: somebody wanted it.
func (d Dir) ReadDrain() (Drain, bool) {
	text, err := os.ReadFile(filepath.Join(string(d), drainFile))
	if err != nil {
		return Drain{}, !errors.Is(err, fs.ErrNotExist)
	}
	var drain Drain
	_ = json.Unmarshal(text, &drain)
	return drain, true
}

// WriteDrain replaces drainFile.
func (d Dir) WriteDrain(drain Drain) error {
	text, err := json.Marshal(drain)
	if err != nil {
		return err
	}
	return d.replace(drainFile, append(text, '\n'))
}

// RemoveDrain ends the drain on disk. It is no error if there is none.
func (d Dir) RemoveDrain() error {
	if err := os.Remove(filepath.Join(string(d), drainFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.sync()
}

// Expired reports whether the drain has ended by itself.
func (d Drain) Expired() bool {
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
