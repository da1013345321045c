// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"podgate/daemon/edgetest"
	"podgate/kubeapi/kubeapitest/realapi"
)

const (
	syncTrials = 5
	// syncTimeout bounds one program's start to its end.
	syncTimeout = 2 * time.Minute
)

// synced measures how several programs read a real API server, from the start of the
// program until it has everything. The yardsticks are client-go's informers, and a program
// that drops the same bytes. It also measures starts of podgate until HAProxy serves the
// cluster (start.go), next to that transfer and a bare HAProxy. All programs run in a
// network namespace of their own; see syncApart.
func synced(ctx context.Context, s size, podgate string) (line, error) {
	kubernetes, err := build(ctx, "testdata/kubernetes/build.sh")
	if err != nil {
		return nil, err
	}
	clientgo, err := build(ctx, "testdata/clientgo/build.sh")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "sync-apart", kubernetes, clientgo, strconv.Itoa(s.services), strconv.Itoa(s.pods), podgate)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := realapi.RunApart(cmd); err != nil {
		return nil, err
	}
	var l line
	err = json.Unmarshal(out.Bytes(), &l)
	return l, err
}

// build runs a script that prints the path of a binary, and builds it first if
// it is missing.
func build(ctx context.Context, script string) (string, error) {
	cmd := exec.CommandContext(ctx, script)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", script, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// syncApart is the part that runs in the network namespace.
func syncApart(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) != 5 {
		return errors.New("only sync runs sync-apart")
	}
	services, pods := atoi(args[2]), atoi(args[3])
	if err := realapi.Local(realPods); err != nil {
		return err
	}
	stop, err := answerChecks()
	if err != nil {
		return err
	}
	defer stop()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return within(ctx, func(t *scope) error {
		cluster := realapi.Start(t, args[0], realapi.Config{})
		if err := fillReal(ctx, cluster.Admin, size{services, pods}); err != nil {
			return err
		}
		config := cluster.Kubeconfig()
		programs := []*program{
			{key: "", command: []string{self, "follow", config}},
			{key: "listed_", command: []string{self, "list", config}},
			{key: "clientgo_", command: []string{args[1], config, edgetest.Namespace}},
			{key: "transfer_", command: []string{self, "transfer", config}},
		}
		trials, err := starts(ctx, config, args[4])
		if err != nil {
			return err
		}
		// The first round fills the caches of the server, and does not count.
		for range 1 + syncTrials {
			for _, p := range programs {
				if err := p.run(ctx); err != nil {
					return fmt.Errorf("%s: %w", p.command[1:], err)
				}
			}
		}
		var l line
		for _, p := range programs {
			l = append(l, p.line()...)
		}
		follow, clientgo, transfer := programs[0], programs[2], programs[3]
		l = append(l,
			field{"wall_to_transfer", round(follow.wall() / transfer.wall())},
			field{"wall_min_to_transfer", round(follow.wallMin() / transfer.wallMin())},
			field{"cpu_to_clientgo", round(follow.cpu() / clientgo.cpu())})
		l = append(l, startLine(trials, transfer.wall(), transfer.wallMin())...)
		return json.NewEncoder(out).Encode(l)
	})
}

func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err) // synced wrote it
	}
	return n
}

// program is a child and what its runs took.
type program struct {
	key     string // prefix of its figures' names
	command []string
	runs    []reading
}

// reading is what one run took.
type reading struct {
	wall, cpu time.Duration
	bytes     int     // over the network, TLS and all
	rss       float64 // in megabytes
}

func (p *program) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	began := time.Now()
	c, err := startChild(ctx, nil, p.command...)
	if err != nil {
		return err
	}
	r := reading{wall: time.Since(began), bytes: received(c.Process.Pid)}
	edgetest.Pause(ctx, settleTime)
	r.rss = residentMB(c.Process.Pid)
	if err := c.end(); err != nil {
		return err
	}
	r.cpu = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	p.runs = append(p.runs, r)
	return nil
}

// received returns how many bytes a process has read, nearly all of them from the network
// (proc_pid_io(5): rchar).
func received(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	for l := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(l, "rchar: "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return 0
}

// line returns the medians of all runs except the first, and the shortest: the API
// server and all readers share one machine.
func (p *program) line() line {
	return line{
		{p.key + "wall_ms", p.wall()},
		{p.key + "wall_min_ms", p.wallMin()},
		{p.key + "cpu_ms", p.cpu()},
		{p.key + "mb", p.median(func(r reading) float64 { return round(float64(r.bytes) / 1e6) })},
		{p.key + "rss_mb", p.median(func(r reading) float64 { return r.rss })},
		{p.key + "n", len(p.runs) - 1},
	}
}

func (p *program) wall() float64 { return p.median(func(r reading) float64 { return ms(r.wall) }) }
func (p *program) wallMin() float64 {
	return ms(slices.MinFunc(p.runs[1:], func(a, b reading) int { return cmp.Compare(a.wall, b.wall) }).wall)
}

func (p *program) cpu() float64 { return p.median(func(r reading) float64 { return ms(r.cpu) }) }

func (p *program) median(figure func(reading) float64) float64 {
	var all []float64
	for _, r := range p.runs[1:] {
		all = append(all, figure(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
