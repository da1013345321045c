// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/daemon/edgetest"
	"podgate/haproxy"
	"podgate/kubeapi"
)

const (
	// eventTrials is large enough for the usual number of garbage collections. With a few
	// hundred trials there would be one or none, by chance.
	eventTrials = 1000
	// eventPause is so long that each change becomes a Snapshot of its own.
	eventPause = 30 * time.Millisecond
)

// eventCPU measures the processor time of one changed endpoint, from its bytes on the wire
// to the Plan, in a program that follows, compiles and compares as podgate does. The time
// includes garbage collections. The yardstick is a program that reads the same events and
// drops them.
func eventCPU(ctx context.Context, s size) (line, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	cluster, err := openShop(s)
	if err != nil {
		return nil, err
	}
	defer cluster.close()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var programs []*child
	for _, name := range []string{"events", "drop-events"} {
		// podgate's GOGC at 100,000 endpoints; it is larger with fewer endpoints.
		p, err := startChild(ctx, []string{"GOGC=15"}, self, name, cluster.URL())
		if err != nil {
			return nil, err
		}
		defer p.kill()
		programs = append(programs, p)
	}
	for i := range eventTrials {
		if !edgetest.Pause(ctx, eventPause) {
			return nil, context.Cause(ctx)
		}
		if err := cluster.replacePod(i); err != nil {
			return nil, err
		}
	}
	edgetest.Pause(ctx, settleTime)
	n := eventTrials
	var each []float64
	for _, p := range programs {
		var cpu time.Duration
		var events int
		if err := p.end((*int64)(&cpu), &events); err != nil {
			return nil, err
		}
		if events == 0 {
			return nil, errors.New("no event was read")
		}
		each = append(each, ms(cpu/time.Duration(events)))
		n = min(n, events)
	}
	return line{{"ms", each[0]}, {"n", n}, {"yardstick_ms", each[1]}}, nil
}

// counter counts what a child has read: first everything, then each event.
type counter struct {
	count  atomic.Int64
	synced chan struct{} // closed when everything was read
}

func newCounter() *counter { return &counter{synced: make(chan struct{})} }

func (c *counter) add() {
	if c.count.Add(1) == 1 {
		close(c.synced)
	}
}

// report prints "synced" and, when standard input has ended, the processor time since
// then and the number of events: a line for each event would cost half as much as dropping
// one.
func (c *counter) report(ctx context.Context) error {
	select {
	case <-c.synced:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	began := ownCPU()
	fmt.Println("synced")
	_, err := io.Copy(io.Discard, os.Stdin)
	fmt.Println((ownCPU() - began).Nanoseconds(), c.count.Load()-1)
	return err
}

// ownCPU returns the processor time that this process has used.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it has no reason to fail
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// events does what podgate does up to the Plan, and assumes that the Plan is applied.
func events(ctx context.Context, url string) error {
	c, err := kubeapi.New(kubeapi.Config{Server: url, Namespaces: []string{edgetest.Namespace}, Watch: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Kubernetes.Namespaces = []string{edgetest.Namespace}
	ctx, cancel := context.WithCancel(ctx)
	snapshots, count := make(chan *kubeapi.Snapshot, 1), newCounter()
	var running sync.WaitGroup
	running.Go(func() { _ = c.Follow(ctx, snapshots) }) // ends with ctx
	running.Go(func() { comparing(ctx, cfg, snapshots, count) })
	err = count.report(ctx)
	cancel()
	running.Wait()
	return err
}

// comparing compiles each Snapshot and compares it with the one before.
func comparing(ctx context.Context, cfg *config.Config, snapshots <-chan *kubeapi.Snapshot, count *counter) {
	var result *compile.Result
	var have haproxy.Running
	var differ haproxy.Differ
	for {
		select {
		case snapshot := <-snapshots:
			result = compile.Compile(cfg, nil, snapshot, result)
		case <-ctx.Done():
			return
		}
		if have.Servers == nil {
			have = haproxy.Running{Loaded: result.State.Structure(), Maps: result.State.Maps(), Servers: map[string][]haproxy.Server{}}
			for _, b := range result.State.Backends.All() {
				have.Servers[b.Name] = b.Servers
			}
		}
		plan := differ.Diff(have, result.State)
		for _, changes := range [][]haproxy.ServerChange{plan.Add, plan.Leave} {
			for _, change := range changes {
				b, _ := result.State.Backend(change.Backend.Name)
				have.Servers[b.Name] = b.Servers
			}
		}
		count.add()
	}
}

// dropEvents reads the events of a watch and drops them.
func dropEvents(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/apis/discovery.k8s.io/v1/namespaces/"+edgetest.Namespace+"/endpointslices?watch=true", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.kubernetes.protobuf")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	count := newCounter()
	go func() {
		count.add()
		frames := bufio.NewReader(resp.Body)
		for { // until the program ends
			head, err := frames.Peek(4)
			if err != nil {
				return
			}
			if _, err := frames.Discard(4 + int(binary.BigEndian.Uint32(head))); err != nil {
				return
			}
			count.add()
		}
	}()
	return count.report(ctx)
}
