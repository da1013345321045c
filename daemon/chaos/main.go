// SPDX-License-Identifier: Apache-2.0

// Command chaos damages a whole edge under load: a podgate process, a real HAProxy, an API
// server, their sockets, files and disk. After each fault it waits until HAProxy serves the
// state of the cluster, and it counts every failed request. The same seed causes the same
// faults.
//
// It does not measure performance, which daemon/bench does.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"podgate/daemon/edgetest"
)

func main() {
	binary := flag.String("podgate", "", "podgate to run; the default is to build one whose clock can jump")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano())%1_000_000, "seed of the faults")
	duration := flag.Duration("duration", time.Minute, "how long faults are caused")
	only := flag.String("only", "", "the only fault to cause, repeatedly")
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
	e, err := openEdge(ctx, binary, rand.New(rand.NewPCG(seed, 0)))
	if err != nil {
		return err
	}
	defer e.close()
	if _, err := e.inSync(ctx); err != nil {
		return fmt.Errorf("at the start: %w\n%s", err, e.tail())
	}
	if err := e.startLoad(ctx); err != nil {
		return err
	}
	faults := e.faults()
	if only != "" {
		i := slices.IndexFunc(faults, func(f *fault) bool { return f.name == only })
		if i < 0 {
			return fmt.Errorf("find fault %q: no fault has that name", only)
		}
		faults = faults[i : i+1]
	}
	var failure error
	for end := time.Now().Add(duration); time.Now().Before(end) && ctx.Err() == nil && failure == nil; {
		failure = e.step(ctx, faults[e.IntN(len(faults))])
	}
	report := e.load.Stop()
	e.printTable(faults, report)
	if failure == nil {
		failure = report.Err()
	}
	if failure != nil {
		return fmt.Errorf("%w\n%s", failure, e.tail())
	}
	return nil
}

// step causes one fault while the cluster changes, and waits until the edge is in sync
// again.
func (e *edge) step(ctx context.Context, f *fault) error {
	e.current.Store(f.name)
	if err := e.churn(); err != nil {
		return err
	}
	if err := f.do(ctx); err != nil {
		if err == errNotHere {
			f.skipped++
			return nil
		}
		return fmt.Errorf("do %s: %w", f.name, err)
	}
	if err := e.churn(); err != nil {
		return err
	}
	r, err := e.inSync(ctx)
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

func (e *edge) printTable(faults []*fault, r edgetest.Report) {
	const row = "%-66s %8v %14v %14v   %.90s\n"
	fmt.Printf("\n"+row, "fault", "survived", "serves after", "in sync after", "waited for")
	for _, f := range faults {
		switch {
		case f.survived > 0:
			fmt.Printf(row, f.name, f.survived, f.served.Round(time.Millisecond), f.slowest.whole.Round(time.Millisecond), f.slowest.waitedFor)
		case f.skipped > 0:
			fmt.Printf("%-66s %8s\n", f.name, "skipped")
		}
	}
	total := 0
	for _, f := range faults {
		total += f.survived
	}
	fmt.Printf("\nfaults survived %d, bad inputs tried %d, changes of the cluster %d, starts of podgate %d, starts of HAProxy %d\n",
		total, e.bad, e.changes, e.starts, e.haproxyStarts)
	fmt.Printf("requests sent %d, failed %d, excused while HAProxy was killed %d\n", r.Sent, r.Failed, r.Excused)
}
