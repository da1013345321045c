// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"podgate/daemon/edgetest"
)

// podgate is a podgate process whose memory is known after its end.
type podgate struct {
	*edgetest.Process
	rss float64 // in megabytes, when it was stopped
}

// stop ends podgate; HAProxy keeps serving. Calling it again does nothing.
func (p *podgate) stop() error {
	if p.ProcessState == nil {
		p.rss = p.memory()
	}
	return p.Stop()
}

// memory returns its resident memory in megabytes, now or when it was stopped.
func (p *podgate) memory() float64 {
	if p.ProcessState != nil {
		return p.rss
	}
	return residentMB(p.pid())
}

func (p *podgate) pid() int { return p.Cmd.Process.Pid }

// cpu returns its processor time, without that of its children.
func (p *podgate) cpu() (time.Duration, error) { return cpuOf(p.pid()) }

// reloads returns how often it has reloaded HAProxy.
func (p *podgate) reloads() int { return p.logged("msg=reloaded ") }

// passes returns how often it has changed the servers of HAProxy.
func (p *podgate) passes() int { return p.logged(`msg="servers changed"`) }

// logged returns how often its log has a text.
func (p *podgate) logged(text string) int {
	log, _ := os.ReadFile(p.LogFile) // it exists as long as the edge does
	return bytes.Count(log, []byte(text))
}

// cpuOf returns the processor time of a process, to 10 ms (proc_pid_stat(5): utime, stime).
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	const utime, stime = 14, 15
	const tick = 10 * time.Millisecond // USER_HZ is 100 everywhere
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // from the third on
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

// threadsCPU returns the processor time of the threads of a process that have not ended, to
// the nanosecond (Linux, Documentation/scheduler/sched-stats.rst "/proc/<pid>/schedstat").
func threadsCPU(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return cpuOf(pid)
	}
	var sum time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		onCPU, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(onCPU, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %q", file, text)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// residentMB returns the resident memory of a process in megabytes; zero if the process
// has ended (proc_pid_status(5): VmRSS).
func residentMB(pid int) float64 { return statusMB(pid, "VmRSS:") }

// peakMB returns the largest resident memory that a process has had, in megabytes; zero if
// the process has ended (proc_pid_status(5): VmHWM).
func peakMB(pid int) float64 { return statusMB(pid, "VmHWM:") }

func statusMB(pid int, key string) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for l := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(l, key); ok {
			kb, _ := strconv.Atoi(strings.Fields(value)[0])
			return round(float64(kb) / 1024)
		}
	}
	return 0
}

// descriptors returns how many files a process has open.
func descriptors(pid int) int {
	open, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	return len(open)
}
