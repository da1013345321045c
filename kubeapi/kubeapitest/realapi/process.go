// SPDX-License-Identifier: Apache-2.0

package realapi

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is a program that a test runs. It ends with the test, and its last lines are
// printed if the test failed.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  string        // the file of both its outputs
	done chan struct{} // closed once it has ended and cmd.ProcessState is set
}

// StartProcess runs a program until the test ends. Each process has a log file of its own
// in folder.
func StartProcess(t TB, folder, name, path string, args ...string) *Process {
	t.Helper()
	log, err := os.CreateTemp(folder, name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &Process{name: name, log: log.Name(), done: make(chan struct{})}

	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = folder
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// The process ends with the test even if that is killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.done)
		p.cmd.Wait() // its result is in cmd.ProcessState
	}()
	t.Cleanup(func() {
		if err := p.Stop(syscall.SIGTERM, 3*time.Second); err != nil {
			p.Stop(syscall.SIGKILL, 10*time.Second)
		}
		if t.Failed() {
			t.Logf("the log of %s (%s) ends with:\n%s", name, p.cmd.ProcessState, p.Tail(40))
		}
	})
	return p
}

// Stop sends a signal and waits for the end. It is no error if the process has ended
// before.
func (p *Process) Stop(sig syscall.Signal, within time.Duration) error {
	if !p.Running() {
		return nil
	}
	p.cmd.Process.Signal(sig) // fails if it has ended meanwhile
	select {
	case <-p.done:
		return nil
	case <-time.After(within):
		return fmt.Errorf("%s: still running %v after %v", p.name, within, sig)
	}
}

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Tail returns the last lines of the log.
func (p *Process) Tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
