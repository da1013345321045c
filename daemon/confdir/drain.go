// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// drainFile exists while the node is to drain. The command that writes or removes it
// changes HAProxy as well, so that a drain works while podgate is down; podgate keeps
// HAProxy in that state.
const drainFile = "podgate.drain"

// Drain is the content of drainFile.
type Drain struct {
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until,omitzero"`       // zero is until "podgate undrain"
	UntilBoot bool      `json:"until_boot,omitempty"` // it ends when the machine boots
}

// ReadDrain returns the Drain, and whether the node is to drain. A file that cannot
// be parsed is a Drain without an end.
func (d Dir) ReadDrain() (Drain, bool) {
	text, err := os.ReadFile(d.Path(drainFile))
	if err != nil {
		return Drain{}, !errors.Is(err, fs.ErrNotExist)
	}
	var drain Drain
	_ = json.Unmarshal(text, &drain)
	return drain, true
}

// WriteDrain replaces drainFile.
func (d Dir) WriteDrain(drain Drain) error {
	return d.replaceJSON(drainFile, drain)
}

// RemoveDrain removes drainFile, which may be missing.
func (d Dir) RemoveDrain() error {
	if err := remove(d.Path(drainFile)); err != nil {
		return err
	}
	return d.sync()
}

// Expired reports whether the drain has ended by itself.
func (d Drain) Expired(now time.Time) bool {
	return !d.Until.IsZero() && !now.Before(d.Until) || d.UntilBoot && d.Since.Before(booted(now))
}

// booted is when the machine booted, by the clock of now (clock_gettime(2)). It does
// not read /proc, which the unit hides.
func booted(now time.Time) time.Time {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}
	}
	return now.Add(-time.Duration(up.Nano()))
}
