// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// Apply does what is in the Plan, and tells each step. It may be called again.
func (h *Host) Apply(ctx context.Context, p *Plan, tell func(string)) error {
	if !p.Folder {
		if err := h.makeFolder(p.folder); err != nil {
			return err
		}
		tell("made " + p.folder)
	}
	if p.Written {
		return nil
	}
	if p.Dropin == "" {
		return h.removeDropin(ctx, tell)
	}
	if err := h.writeDropin(p.Dropin); err != nil {
		return err
	}
	tell("wrote " + dropinFile)
	return h.daemonReload(ctx, tell)
}

// Undo takes the drop-in away, and reports whether there was one.
func (h *Host) Undo(ctx context.Context, tell func(string)) (bool, error) {
	if _, err := os.Lstat(h.path(dropinFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, h.removeDropin(ctx, tell)
}

func (h *Host) removeDropin(ctx context.Context, tell func(string)) error {
	if err := os.Remove(h.path(dropinFile)); err != nil {
		return asRoot(err)
	}
	_ = os.Remove(filepath.Dir(h.path(dropinFile))) // it stays where there are others in it
	tell("removed " + dropinFile)
	return h.daemonReload(ctx, tell)
}

// makeFolder makes the folder as tmpfiles.d does: podgate writes it, HAProxy
// reads it.
func (h *Host) makeFolder(folder string) error {
	path := h.path(folder)
	if err := os.MkdirAll(path, 0o750); err != nil {
		return asRoot(err)
	}
	owner, err := user.Lookup("podgate")
	if err != nil {
		return fmt.Errorf("give %s to podgate: %w (is the package installed?)", folder, err)
	}
	group, err := user.LookupGroup("haproxy")
	if err != nil {
		return fmt.Errorf("give %s to group haproxy: %w", folder, err)
	}
	uid, err := strconv.Atoi(owner.Uid)
	gid, err2 := strconv.Atoi(group.Gid)
	return errors.Join(err, err2, os.Chown(path, uid, gid))
}

func (h *Host) writeDropin(text string) error {
	path := h.path(dropinFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return asRoot(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return asRoot(err)
	}
	return asRoot(os.Rename(path+".new", path))
}

// daemonReload has systemd read the drop-in, where it runs. It touches no
// process.
func (h *Host) daemonReload(ctx context.Context, tell func(string)) error {
	if _, err := os.Stat(h.path("/run/systemd/system")); err != nil {
		return nil // systemd is not running: a chroot, or an image that is being built
	}
	if err := h.run(ctx, "systemctl", "daemon-reload"); err != nil {
		return err
	}
	tell("ran systemctl daemon-reload")
	return nil
}

// Restart restarts HAProxy, which cuts its connections.
func (h *Host) Restart(ctx context.Context, tell func(string)) error {
	if err := h.run(ctx, "systemctl", "restart", unitName); err != nil {
		return err
	}
	tell("ran systemctl restart " + unitName)
	return nil
}

func (h *Host) run(ctx context.Context, name string, args ...string) error {
	if h.Run != nil {
		return h.Run(ctx, name, args...)
	}
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func asRoot(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (run it as root)", err)
	}
	return err
}
