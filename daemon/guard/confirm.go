// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"podgate/daemon/confdir"
)

// ErrNothingHeld is returned by Held and Confirm when no removal is held.
var ErrNothingHeld = errors.New("no removal is held")

// Held returns the removal that the podgate of this folder holds, or
// ErrNothingHeld.
func Held(dir confdir.Dir) (Removal, error) {
	h, err := dir.ReadHeld()
	if errors.Is(err, fs.ErrNotExist) {
		return Removal{}, ErrNothingHeld
	}
	return Removal{Since: h.Since, Until: h.Until, Loss: h.Loss}, err
}

// Confirm releases a removal. It returns when podgate no longer holds it, or with
// an error when ctx ends.
func Confirm(ctx context.Context, dir confdir.Dir, r Removal) error {
	file, err := dir.WriteConfirm(r.Since)
	if err != nil {
		return err
	}
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := Held(dir)
		if errors.Is(err, ErrNothingHeld) || err == nil && !now.Since.Equal(r.Since) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("confirm: podgate did not act on %s within %s (systemctl status podgate)", file, time.Since(began).Round(time.Second))
		}
	}
}
