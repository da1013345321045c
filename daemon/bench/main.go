// SPDX-License-Identifier: Apache-2.0

// Command bench measures podgate between a fake API server and a real HAProxy
// ($HAPROXY, or haproxy of $PATH) and writes one JSON object per line. Each figure
// has a yardstick in the same run: what HAProxy needs for the same change or with a
// configuration that an operator would write, or what client-go needs to read the same
// real API server.
//
// It does not decide whether a figure is good. It is not part of the packages.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// runTimeout bounds one benchmark at one size, without its churn.
const runTimeout = 10 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "sync-apart" {
		return syncApart(ctx, args[1:], out)
	}
	if len(args) > 0 && args[0] == "soak" {
		return soak(ctx, args[1:], out)
	}
	if len(args) == 2 && readers()[args[0]] != nil {
		return readers()[args[0]](ctx, args[1])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	pattern := flags.String("run", ".", "run the benchmarks whose name matches this `regexp`")
	services := flags.Int("services", 0, "how many Services there are, instead of each benchmark's own sizes")
	pods := flags.Int("pods", 10, "how many pods each of them has; only with -services")
	var o options
	flags.StringVar(&o.podgate, "podgate", "bin/podgate", "the podgate to measure")
	flags.StringVar(&o.before, "before", "", "another podgate, with which requests compares the first")
	flags.DurationVar(&o.churn, "churn", churnTime, "how long churn and rss replace pods")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	for _, b := range benchmarks(o) {
		if !chosen.MatchString(b.name) {
			continue
		}
		sizes := b.sizes
		if *services != 0 {
			sizes = []size{{*services, *pods}}
		}
		for _, s := range sizes {
			if err := measure(ctx, b, s, o, out); err != nil {
				return fmt.Errorf("%s at %d Services: %w", b.name, s.services, err)
			}
		}
	}
	return nil
}

// options are those of the command line that benchmarks use.
type options struct {
	podgate string        // path of the podgate to measure
	before  string        // path of another podgate; "" for none
	churn   time.Duration // how long churn and rss replace pods
}

// size is how large a cluster is.
type size struct{ services, pods int } // pods of each Service

// benchmark is one measurement.
type benchmark struct {
	name  string
	sizes []size
	run   func(context.Context, *edge) (line, error)
	alone func(context.Context, size) (line, error) // instead of run, without an edge
}

func benchmarks(o options) []benchmark {
	return append([]benchmark{
		{name: "endpoint_to_first_200", sizes: []size{{10, 10}, {1000, 10}, {5000, 20}}, run: endpointToFirst200},
		{name: "service_to_first_200", sizes: []size{{10, 10}, {1000, 10}, {5000, 20}}, run: serviceToFirst200},
		{name: "churn", sizes: []size{{1000, 20}, {5000, 20}}, run: churn},
		{name: "event_cpu", sizes: []size{{1000, 10}, {5000, 20}}, alone: eventCPU},
		{name: "rss", sizes: []size{{1000, 10}, {5000, 20}}, run: rss},
		{name: "sync", sizes: []size{{5000, 20}}, alone: func(ctx context.Context, s size) (line, error) { return synced(ctx, s, o.podgate) }},
	}, requestBenchmarks(o)...)
}

// measure runs one benchmark on an edge of its own and writes its line.
func measure(ctx context.Context, b benchmark, s size, o options, out io.Writer) error {
	if b.alone != nil {
		l, err := b.alone(ctx, s)
		if err == nil {
			_, err = fmt.Fprintln(out, append(line{{"name", b.name}, {"services", s.services}, {"pods_per_service", s.pods}}, l...))
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, runTimeout+o.churn)
	defer cancel()
	e, err := openEdge(ctx, s, o.podgate)
	if err != nil {
		return err
	}
	e.churn = o.churn
	defer e.close()
	l, err := b.run(ctx, e)
	if err != nil {
		return e.withLogs(err)
	}
	head := line{{"name", b.name}, {"haproxy", e.version}, {"services", s.services}, {"pods_per_service", s.pods}}
	tail := line{{"checks", e.check}, {"start_to_in_sync_ms", ms(e.inSync)}, {"podgate_rss_mb", e.podgate.memory()}}
	_, err = fmt.Fprintln(out, append(append(head, l...), tail...))
	return err
}
