// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// podgate is a podgate in a process of its own.
type podgate struct {
	cmd  *exec.Cmd
	file string  // its log
	rss  float64 // in megabytes, when it was stopped
}

func startPodgate(binary, toml, file string) (*podgate, error) {
	log, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(binary, "run", "--config", toml)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start podgate: %w", err)
	}
	return &podgate{cmd: cmd, file: file}, nil
}

// stop ends podgate, which leaves HAProxy serving. Calling it again does
// nothing.
func (p *podgate) stop() error {
	if p.cmd.ProcessState != nil {
		return nil
	}
	p.rss = p.memory()
	kill := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// reloads is how often it has reloaded HAProxy.
func (p *podgate) reloads() int {
	text, _ := os.ReadFile(p.file) // that is there as long as the edge is
	return bytes.Count(text, []byte("msg=reloaded "))
}

// log is the end of what it said.
func (p *podgate) log() string {
	const most = 4 << 10
	text, _ := os.ReadFile(p.file)
	return string(text[max(0, len(text)-most):])
}

// cpu is the processor time that it has taken, its children's not counted.
func (p *podgate) cpu() (time.Duration, error) { return cpuOf(p.cmd.Process.Pid) }

// cpuOf is the processor time of a process, to 10 ms (proc_pid_stat(5): utime,
// stime).
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	const utime, stime = 14, 15
	const tick = 10 * time.Millisecond // USER_HZ is 100 everywhere
	_, behind, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(behind) // from the third on
	if len(fields) <= stime-3 {
		return 0, fmt.Errorf("/proc/PID/stat: %q", text)
	}
	user, err := strconv.Atoi(fields[utime-3])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[stime-3])
	return time.Duration(user+system) * tick, err
}

// memory is its resident memory in megabytes, now or when it was stopped.
func (p *podgate) memory() float64 {
	if p.cmd.ProcessState != nil {
		return p.rss
	}
	return residentMB(p.cmd.Process.Pid)
}

// residentMB is the resident memory of a process in megabytes, zero where there
// is none (proc_pid_status(5): VmRSS).
func residentMB(pid int) float64 { return statusMB(pid, "VmRSS:") }
