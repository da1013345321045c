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

// writeFiles creates podgate's folder, and writes or removes the drop-in.
func (h *Host) writeFiles(ctx context.Context, p *Plan) error {
	if !p.Folder {
		if err := h.createFolder(p.folder); err != nil {
			return err
		}
		h.done("created " + p.folder)
	}
	if p.Written {
		return nil
	}
	if p.Dropin == "" {
		return h.removeDropin(ctx)
	}
	if err := h.writeDropin(p.Dropin); err != nil {
		return err
	}
	h.done("wrote " + dropinFile)
	return h.daemonReload(ctx)
}

// createFolder creates the folder with the owners that tmpfiles.d gives it: podgate
// writes to it, HAProxy reads it.
func (h *Host) createFolder(folder string) error {
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

func (h *Host) removeDropin(ctx context.Context) error {
	if err := os.Remove(h.path(dropinFile)); err != nil {
		return asRoot(err)
	}
	_ = os.Remove(filepath.Dir(h.path(dropinFile))) // fails if there are other drop-ins
	h.done("removed " + dropinFile)
	return h.daemonReload(ctx)
}

// daemonReload makes systemd re-read its units. This affects no process.
func (h *Host) daemonReload(ctx context.Context) error {
	if _, err := os.Stat(h.path("/run/systemd/system")); err != nil {
		return nil // systemd does not run: a chroot, or an image that is being built
	}
	return h.run(ctx, "systemctl", "daemon-reload")
}

// restart restarts HAProxy, which closes its connections.
func (h *Host) restart(ctx context.Context) error {
	return h.run(ctx, "systemctl", "restart", unitName)
}

// run runs a command, and writes it to Out if it succeeds.
func (h *Host) run(ctx context.Context, name string, args ...string) error {
	line := name + " " + strings.Join(args, " ")
	if h.Run != nil {
		if err := h.Run(ctx, name, args...); err != nil {
			return err
		}
	} else if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	h.done("ran " + line)
	return nil
}

func asRoot(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (run it as root)", err)
	}
	return err
}
