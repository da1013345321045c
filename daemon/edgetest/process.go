// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is a podgate in a process of its own.
type Process struct {
	*exec.Cmd
	LogFile string // of all podgates that the Edge has started
}

// StartProcess runs "BINARY run" with podgate.toml, until the Process is stopped or killed.
// env is added to the environment.
func (e *Edge) StartProcess(binary string, env ...string) (*Process, error) {
	p := &Process{exec.Command(binary, "run", "--config", e.TOML), filepath.Join(e.Folder, "podgate.log")}
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.Env = append(os.Environ(), env...)
	p.Stdout, p.Stderr = log, log
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("start podgate: %w", err)
	}
	return p, nil
}

// Stop ends podgate as systemd does: by SIGTERM, and after 10 s by SIGKILL.
// Calling it again does nothing.
func (p *Process) Stop() error {
	if p.ProcessState != nil {
		return nil
	}
	kill := time.AfterFunc(10*time.Second, func() { _ = p.Process.Kill() }) // it may have ended just now
	defer kill.Stop()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.Wait()
}

// Kill ends podgate without a warning. Calling it again does nothing.
func (p *Process) Kill() {
	if p.ProcessState == nil {
		_ = p.Process.Kill() // it may have ended by itself
		_ = p.Wait()         // it was killed
	}
}

// Tail returns the end of the log.
func (p *Process) Tail() string {
	const most = 6 << 10
	text, _ := os.ReadFile(p.LogFile) // it exists as long as the Edge does
	return string(text[max(0, len(text)-most):])
}
