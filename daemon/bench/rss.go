// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// rss is podgate's whole resident memory: in sync, and after one pod of each
// Service in turn was replaced for a while, which -churn makes longer; and what it
// takes of a processor meanwhile. The yardstick is the memory of the HAProxy that
// serves the same servers.
func rss(ctx context.Context, e *edge) (line, error) {
	pid := e.podgate.cmd.Process.Pid
	synced := residentMB(pid)
	before, err := e.podgate.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	tick := time.NewTicker(time.Second / churnRate)
	defer tick.Stop()
	changes := int(e.churn.Seconds()) * churnRate
	for i := range changes {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if err := e.replacePod(i); err != nil {
			return nil, err
		}
	}
	after, err := e.podgate.cpu()
	if err != nil {
		return nil, err
	}
	percent := round(100 * float64(after-before) / float64(time.Since(began)))
	if !pause(ctx, settleTime) {
		return nil, context.Cause(ctx)
	}
	process, err := e.runtime.Process(ctx)
	if err != nil {
		return nil, err
	}
	return line{
		{"synced_mb", synced}, {"churned_mb", residentMB(pid)}, {"peak_mb", peakMB(pid)}, {"changes", changes},
		{"podgate_cpu_percent", percent}, {"reloads", e.podgate.reloads()},
		{"yardstick_haproxy_mb", residentMB(process.Pid)},
	}, nil
}

// replacePod replaces the first pod of a Service, the i-th if there were so many.
func (e *edge) replacePod(i int) error {
	i %= e.services
	all := e.pods.next(1)
	for n := 1; n < e.size.pods; n++ {
		all = append(all, e.pods.at(i*e.size.pods+n+1))
	}
	return e.setPods(serviceName(i), all...)
}

// at is the n-th address that next returned, from 1.
func (p *pods) at(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 64 | byte(n>>16), byte(n >> 8), byte(n)}), p.port())
}

// peakMB is the most resident memory that a process ever had, in megabytes, zero
// where there is none (proc_pid_status(5): VmHWM).
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
