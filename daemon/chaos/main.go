// SPDX-License-Identifier: Apache-2.0

// Command chaos does harm to a whole edge under load: a podgate in a process of
// its own, a real HAProxy and an API server, their sockets, their files, their
// disk. After each fault it waits until HAProxy serves what the cluster says,
// and it counts every request that failed. The same seed does the same harm.
//
// It measures nothing (daemon/bench does) and mends nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	binary := flag.String("podgate", "", "podgate to run; without, one is built whose clock can jump")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano())%1_000_000, "seed of what happens")
	duration := flag.Duration("duration", time.Minute, "how long harm is done")
	only := flag.String("only", "", "the one fault to do, again and again")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *seed, *duration, *only); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, seed uint64, duration time.Duration, only string) error {
	fmt.Printf("chaos: SEED=%d DURATION=%s\n", seed, duration)
	t, err := openTown(ctx, binary, rand.New(rand.NewPCG(seed, 0)))
	if err != nil {
		return err
	}
	defer t.close()
	if _, err := t.inSync(ctx); err != nil {
		return fmt.Errorf("at the start: %w\n%s", err, t.tail())
	}
	t.startLoad()
	faults := t.faults()
	if only != "" {
		f, ok := find(faults, only)
		if !ok {
			return fmt.Errorf("no fault is called %q", only)
		}
		faults = []*fault{f}
	}
	var failure error
	for end := time.Now().Add(duration); time.Now().Before(end) && ctx.Err() == nil && failure == nil; {
		failure = t.step(ctx, faults[t.IntN(len(faults))])
	}
	t.stopLoad()
	t.printTable(faults)
	switch {
	case failure != nil:
		return fmt.Errorf("%w\n%s", failure, t.tail())
	case t.failed.Load() > 0:
		return fmt.Errorf("%d requests failed that a bare HAProxy would have served:\n%s\n%s", t.failed.Load(), t.causes(), t.tail())
	}
	return nil
}

// step does one fault to the edge while the cluster changes, and waits until the
// edge is in sync again.
func (t *town) step(ctx context.Context, f *fault) error {
	t.current.Store(f.name)
	if err := t.churn(); err != nil {
		return err
	}
	if err := f.do(ctx); err != nil {
		if err == errNotHere {
			f.skipped++
			return nil
		}
		return fmt.Errorf("do %s: %w", f.name, err)
	}
	if err := t.churn(); err != nil {
		return err
	}
	r, err := t.inSync(ctx)
	if err != nil {
		return fmt.Errorf("after %s: %w", f.name, err)
	}
	f.survived++
	f.served = max(f.served, r.served)
	if r.whole > f.slowest.whole {
		f.slowest = r
	}
	return nil
}

func (t *town) printTable(faults []*fault) {
	const row = "%-66s %8v %14v %14v   %.90s\n"
	fmt.Printf("\n"+row, "fault", "survived", "serves after", "in sync after", "which waited for")
	for _, f := range faults {
		switch {
		case f.survived > 0:
			fmt.Printf(row, f.name, f.survived, f.served.Round(time.Millisecond), f.slowest.whole.Round(time.Millisecond), f.slowest.waitedFor)
		case f.skipped > 0:
			fmt.Printf("%-66s %8s\n", f.name, "not here")
		}
	}
	total := 0
	for _, f := range faults {
		total += f.survived
	}
	fmt.Printf("\nfaults survived %d, bad inputs tried %d, changes of the cluster %d, starts of podgate %d, starts of HAProxy %d\n",
		total, t.bad, t.changes, t.starts, t.haproxyStarts)
	fmt.Printf("requests sent %d, failed %d, failed while HAProxy itself was killed %d\n", t.sent.Load(), t.failed.Load(), t.excused.Load())
}
