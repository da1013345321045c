// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// mountDisk mounts a small file system on the folder, which can be filled and made
// read-only. It needs root.
func mountDisk(folder string) error {
	return syscall.Mount("none", folder, "tmpfs", 0, "size=1m,mode=0755")
}

func unmountDisk(folder string) { _ = syscall.Unmount(folder, syscall.MNT_DETACH) }

// ballast is the file that fills the disk.
func ballast(folder string) string { return filepath.Join(folder, "ballast") }

// fillDisk leaves no byte free.
func fillDisk(folder string) error {
	file, err := os.Create(ballast(folder))
	if err != nil {
		return err
	}
	defer file.Close()
	block := make([]byte, 4<<10)
	for range 1 << 10 {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return fmt.Errorf("fill %s: it takes more than it should have", folder)
}

func readOnly(folder string, on bool) error {
	flags := uintptr(syscall.MS_REMOUNT)
	if on {
		flags |= syscall.MS_RDONLY
	}
	return syscall.Mount("none", folder, "tmpfs", flags, "size=1m,mode=0755")
}
