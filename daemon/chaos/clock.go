// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// clockEnv names the clock file to a podgate that buildJumping has built.
const clockEnv = "PODGATE_CHAOS_CLOCK"

// jumpSource is added to package time of a podgate whose clock can jump: it adds
// the seconds that are in a file, mapped into memory, to the wall clock. The
// monotonic clock is not changed, as when the kernel's time is set. There is no
// other way for one process: a time namespace has only monotonic clocks, and a
// static binary loads no library.
const jumpSource = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var jump = openJump()

func openJump() *int64 {
	path, _ := syscall.Getenv("` + clockEnv + `")
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		panic("` + clockEnv + `: " + err.Error())
	}
	memory, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("` + clockEnv + `: " + err.Error())
	}
	return (*int64)(unsafe.Pointer(&memory[0]))
}

func jumped() int64 {
	if jump == nil { // before it is initialized
		return 0
	}
	return atomic.LoadInt64(jump)
}
`

// buildJumping builds cmd/podgate with jumpSource into folder, by an overlay of
// Go's package time (go help build, "-overlay"), and returns its path.
func buildJumping(ctx context.Context, folder string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	source := filepath.Join(string(bytes.TrimSpace(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return "", err
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if bytes.Count(text, []byte(now)) != 1 {
		return "", errors.New("find time.Now in this version of Go: its source has changed (adapt buildJumping)")
	}
	replaced := map[string]string{}
	for name, text := range map[string][]byte{
		"time.go":         bytes.Replace(text, []byte(now), []byte(now+"\tsec += jumped()\n"), 1),
		"podgate_jump.go": []byte(jumpSource),
	} {
		replaced[filepath.Join(source, name)] = filepath.Join(folder, name)
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	file, binary := filepath.Join(folder, "overlay.json"), filepath.Join(folder, "podgate")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-overlay", file, "-o", binary, "podgate/cmd/podgate")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build podgate: %w\n%s", err, out)
	}
	return binary, nil
}

// setClock makes podgate's clock differ from the machine's.
func (e *edge) setClock(by time.Duration) error {
	file, err := os.OpenFile(e.clock, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(binary.NativeEndian.AppendUint64(nil, uint64(by/time.Second)))
	return errors.Join(err, file.Close())
}

// jumps returns a difference as clocks have them in the field: a step of NTP, a
// virtual machine that was paused, a machine that boots in 1970, or a year ahead.
func (e *edge) jumps() time.Duration {
	const day = 24 * time.Hour
	all := []time.Duration{
		0, time.Second, -time.Second, time.Minute, -time.Minute, time.Hour, -time.Hour, day, -day, 400 * day, -400 * day,
		time.Until(time.Unix(0, 0)),
	}
	return all[e.IntN(len(all))]
}
