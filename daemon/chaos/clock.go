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

// clockEnv is how a podgate that buildJumping built is told of its clock.
const clockEnv = "PODGATE_CHAOS_CLOCK"

// jumpSource goes into package time of a podgate whose clock can jump: seconds
// that stand in a file, which both map into memory, are added to the wall clock.
// The monotonic clock goes on as it does, which is what a kernel whose time is
// set shows a process. Nothing else lets the clock of one process jump: a time
// namespace has only monotonic clocks, and a static binary loads no library.
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

// buildJumping builds cmd/podgate into folder, with such a package time, by an
// overlay of Go's own (go help build, "-overlay"), and returns its path.
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
		return "", errors.New("time.Now of this Go is not the one that chaos knows (correct buildJumping)")
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

// setClock has podgate's clock show so much more, or less, than the machine's.
func (t *town) setClock(by time.Duration) error {
	file, err := os.OpenFile(t.clock, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(binary.NativeEndian.AppendUint64(nil, uint64(by/time.Second)))
	return errors.Join(err, file.Close())
}

// jumps are what clocks were seen to do: a leap of NTP, a virtual machine that
// was stopped and went on, a box that starts in 1970, or a year ahead.
func (t *town) jumps() time.Duration {
	const day = 24 * time.Hour
	all := []time.Duration{
		0, time.Second, -time.Second, time.Minute, -time.Minute, time.Hour, -time.Hour, day, -day, 400 * day, -400 * day,
		time.Until(time.Unix(0, 0)),
	}
	return all[t.IntN(len(all))]
}
