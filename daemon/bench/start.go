// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

const (
	startTrials = 3
	// reportInterval is how often podgate's log is read until its start is complete.
	reportInterval = 2 * time.Millisecond
)

// startParts returns the parts of a start, as podgate logs them.
func startParts() []string {
	return []string{"list", "compile", "render", "check", "load", "read_back"}
}

// started is what one start of podgate took.
type started struct {
	wall, cpu time.Duration // from the process to the report; cpu without haproxy -c
	parts     map[string]time.Duration
	reloads   int
	rss, peak float64 // in megabytes
}

// trial is a start with an empty folder, one with the files of the first, and the
// yardsticks: what HAProxy needs for the same files without podgate.
type trial struct {
	empty, again started

	check, checkCPU time.Duration // haproxy -c
	load            time.Duration // a reload of a HAProxy without podgate's files
}

// starts starts podgate several times. The first time fills caches, and does not count.
func starts(ctx context.Context, kubeconfig, binary string) (trials []trial, err error) {
	// With an hour between two checks, HAProxy does not need a file for each server.
	haproxy := haproxytest.Options{Global: []string{"no strict-limits"}}
	e, err := edgetest.OpenEdge(ctx, edgetest.NewCluster(), edgetest.Options{HAProxy: haproxy})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	e.Set("kubernetes.server", nil)
	e.Set("kubernetes.kubeconfig", kubeconfig)
	e.Set("safety.max_servers", 10_000_000) // all are in one namespace
	e.Set("defaults.check_interval", checkInterval)
	if err := e.Configure(""); err != nil {
		return nil, err
	}
	for range 1 + startTrials {
		var one trial
		if err := one.run(ctx, e, binary); err != nil {
			return nil, err
		}
		trials = append(trials, one)
	}
	return trials[1:], nil
}

func (t *trial) run(ctx context.Context, e *edgetest.Edge, binary string) (err error) {
	if err := errors.Join(os.RemoveAll(e.HAProxy.Folder), os.Mkdir(e.HAProxy.Folder, 0o755)); err != nil {
		return err
	}
	if err := e.HAProxy.Restart(ctx); err != nil {
		return err
	}
	if t.empty, err = startOnce(ctx, e, binary); err != nil {
		return err
	}
	if t.again, err = startOnce(ctx, e, binary); err != nil {
		return err
	}
	return t.bare(ctx, e)
}

// startOnce starts podgate, waits until its start is complete, and stops it.
func startOnce(ctx context.Context, e *edgetest.Edge, binary string) (s started, err error) {
	began := time.Now()
	process, err := e.StartProcess(binary)
	if err != nil {
		return s, err
	}
	p := &podgate{Process: process}
	defer func() { err = errors.Join(err, p.stop(), os.Remove(p.LogFile)) }()
	report := ""
	for report == "" {
		switch {
		case !edgetest.Pause(ctx, reportInterval):
			return s, context.Cause(ctx)
		case time.Since(began) > inSyncTimeout:
			return s, fmt.Errorf("the start is not complete after %s; podgate's log ends with:\n%s\nHAProxy's log ends with:\n%s", inSyncTimeout, p.Tail(), e.HAProxy.Log())
		}
		report = startReport(p.LogFile)
	}
	s.wall, s.parts = time.Since(began), durations(report)
	if s.cpu, err = p.cpu(); err != nil {
		return s, err
	}
	if !edgetest.Pause(ctx, settleTime) {
		return s, context.Cause(ctx)
	}
	s.reloads, s.rss, s.peak = p.reloads(), p.memory(), peakMB(p.pid())
	return s, nil
}

// startReport returns the line of podgate's log about its start; "" before.
func startReport(file string) string {
	text, _ := os.ReadFile(file) // it exists since podgate was started
	for l := range strings.Lines(string(text)) {
		if strings.Contains(l, `msg="start completed"`) {
			return l
		}
	}
	return ""
}

// durations returns the values of a line of the log that are durations.
func durations(line string) map[string]time.Duration {
	all := map[string]time.Duration{}
	for word := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(word, "=")
		if d, err := time.ParseDuration(value); err == nil {
			all[key] = d
		}
	}
	return all
}

// bare measures what HAProxy needs for the files that podgate wrote.
func (t *trial) bare(ctx context.Context, e *edgetest.Edge) error {
	process, err := e.Runtime.Process(ctx)
	if err != nil {
		return err
	}
	binary, err := haproxytest.Binary()
	if err != nil {
		return err
	}
	began := time.Now()
	check := exec.CommandContext(ctx, binary, "-c", "-f", e.HAProxy.Base, "-f", e.HAProxy.Folder)
	if out, err := check.CombinedOutput(); err != nil {
		return fmt.Errorf("haproxy -c: %w: %s", err, bytes.TrimSpace(out))
	}
	t.check, t.checkCPU = time.Since(began), check.ProcessState.UserTime()+check.ProcessState.SystemTime()
	folder, aside := e.HAProxy.Folder, e.HAProxy.Folder+".aside"
	if err := errors.Join(os.Rename(folder, aside), os.Mkdir(folder, 0o755)); err != nil {
		return err
	}
	err = e.HAProxy.Restart(ctx)
	if err := errors.Join(err, os.Remove(folder), os.Rename(aside, folder)); err != nil {
		return err
	}
	began = time.Now()
	_, err = e.Runtime.Reload(ctx, process.Generation)
	t.load = time.Since(began)
	return err
}

// startLine returns the medians of the trials. transfer and transferMin are the median and
// the shortest time of the transfer of the lists, in ms. On a machine that others use, the
// shortest times say more about the ratio.
func startLine(trials []trial, transfer, transferMin float64) line {
	sorted := func(figure func(t trial) float64) []float64 {
		var all []float64
		for _, t := range trials {
			all = append(all, figure(t))
		}
		slices.Sort(all)
		return all
	}
	median := func(figure func(t trial) float64) float64 { return sorted(figure)[len(trials)/2] }
	wall := func(t trial) float64 { return ms(t.empty.wall) }
	check := func(t trial) float64 { return ms(t.check) }
	load := func(t trial) float64 { return ms(t.load) }
	figures := func(prefix string, of func(t trial) started) line {
		l := line{
			{prefix + "ms", median(func(t trial) float64 { return ms(of(t).wall) })},
			{prefix + "cpu_ms", median(func(t trial) float64 { return ms(of(t).cpu) })},
		}
		for _, part := range startParts() {
			l = append(l, field{prefix + part + "_ms", median(func(t trial) float64 { return ms(of(t).parts[part]) })})
		}
		return append(l,
			field{prefix + "reloads", median(func(t trial) float64 { return float64(of(t).reloads) })},
			field{prefix + "rss_mb", median(func(t trial) float64 { return of(t).rss })},
			field{prefix + "peak_mb", median(func(t trial) float64 { return of(t).peak })})
	}
	return slices.Concat(
		figures("start_", func(t trial) started { return t.empty }),
		figures("restart_", func(t trial) started { return t.again }),
		line{
			{"yardstick_check_ms", median(check)},
			{"yardstick_check_cpu_ms", median(func(t trial) float64 { return ms(t.checkCPU) })},
			{"yardstick_load_ms", median(load)},
			{"start_to_yardsticks", median(func(t trial) float64 { return round(wall(t) / (transfer + check(t) + load(t))) })},
			{"start_min_to_yardsticks", round(sorted(wall)[0] / (transferMin + sorted(check)[0] + sorted(load)[0]))},
			{"start_n", len(trials)},
		})
}
