// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/confdir"
	"podgate/daemon/config"
)

// ErrNothingHeld is of a Confirm that has nothing to do.
var ErrNothingHeld = errors.New("nothing is held")

// ReadHeld returns what podgate holds at the moment, or ErrNothingHeld.
func ReadHeld(c *config.Config) (admin.Held, error) {
	h, err := confdir.Dir(c.HAProxy.Folder).ReadHeld()
	if errors.Is(err, fs.ErrNotExist) {
		return admin.Held{}, ErrNothingHeld
	}
	return admin.Held{Since: h.Since, Until: h.Until, Loss: h.Loss}, err
}

// Confirm lets go what is held, and waits until podgate has taken that, or until
// ctx ends.
func Confirm(ctx context.Context, c *config.Config, h admin.Held) error {
	file, err := confdir.Dir(c.HAProxy.Folder).WriteConfirm(h.Since)
	if err != nil {
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
