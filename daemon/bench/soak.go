// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"podgate/daemon/edgetest"
)

// soaker is a cluster that changes for a long time.
type soaker struct {
	*edge
	began   time.Time
	changes int
	extra   int // Services that were added
}

// soak replaces pods, and adds and removes Services, for a given time. It writes the
// memory, files and goroutines of podgate and HAProxy at intervals. A figure that keeps
// growing is a leak.
func soak(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench soak", flag.ContinueOnError)
	services := flags.Int("services", 1000, "how many Services there are")
	pods := flags.Int("pods", 4, "how many pods each of them has")
	duration := flags.Duration("duration", time.Minute, "how long")
	every := flags.Duration("every", 10*time.Second, "the time between two lines")
	rate := flags.Int("rate", 50, "changes of a Service's pods a second; every thousandth adds a Service and removes another")
	podgate := flags.String("podgate", "bin/podgate", "the podgate to run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	e, err := openEdge(ctx, size{*services, *pods}, *podgate)
	if err != nil {
		return err
	}
	s := &soaker{edge: e, began: time.Now()}
	l := edgetest.StartLoad(edgetest.LoadOptions{Clients: 8, Think: 5 * time.Millisecond})
	path := "/" + serviceName(0)
	_, err = l.Add(ctx, edgetest.Target{Service: serviceName(0), Request: edgetest.Request{Addr: e.HTTP, Path: path + "/"}, Strip: path})
	if err == nil {
		err = s.run(ctx, *duration, *every, time.Second/time.Duration(*rate), l, out)
	}
	if err = errors.Join(err, l.Stop().Err()); err != nil {
		err = e.withLogs(fmt.Errorf("soak: %w", err))
	}
	return errors.Join(err, e.close())
}

func (s *soaker) run(ctx context.Context, duration, every, between time.Duration, l *edgetest.Load, out io.Writer) error {
	tick, report, end := time.NewTicker(between), time.NewTicker(every), time.After(duration)
	defer tick.Stop()
	defer report.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-end:
			return s.line(ctx, l, out)
		case <-report.C:
			if err := s.line(ctx, l, out); err != nil {
				return err
			}
		case <-tick.C:
			if err := s.change(); err != nil {
				return err
			}
		}
	}
}

// change replaces the pods of one Service. Every thousandth change adds a Service,
// and removes one that was added before.
func (s *soaker) change() error {
	const perExtra, extras = 1000, 5
	s.changes++
	if s.changes%perExtra == 0 {
		s.extra++
		if old := s.extra - extras; old > 0 {
			s.Cluster.RemoveService(fmt.Sprintf("extra-%d", old))
			s.Cluster.Delete("EndpointSlice", edgetest.Namespace, fmt.Sprintf("extra-%d-1", old))
		}
		return s.shop.addService(fmt.Sprintf("extra-%d", s.extra), s.size.pods)
	}
	name := serviceName(s.changes % s.services)
	return s.shop.setPods(name, s.shop.pods.Next(name, s.size.pods)...)
}

// line measures everything once, and writes a line.
func (s *soaker) line(ctx context.Context, l *edgetest.Load, out io.Writer) error {
	began := time.Now()
	process, err := s.Runtime.Process(ctx)
	socket := time.Since(began)
	if err != nil {
		return err
	}
	goroutines, heap, err := s.goMetrics(ctx)
	if err != nil {
		return err
	}
	report := l.Report()
	_, err = fmt.Fprintln(out, line{
		{"name", "soak"}, {"haproxy", s.version}, {"services", s.services}, {"pods_per_service", s.size.pods},
		{"elapsed_s", int(time.Since(s.began).Seconds())}, {"changes", s.changes}, {"reloads", s.podgate.reloads()},
		{"podgate_rss_mb", s.podgate.memory()}, {"podgate_heap_mb", heap}, {"podgate_goroutines", goroutines},
		{"podgate_descriptors", descriptors(s.podgate.pid())},
		{"haproxy_rss_mb", residentMB(process.Pid)}, {"haproxy_descriptors", descriptors(process.Pid)}, {"socket_ms", ms(socket)},
		{"requests", report.Sent}, {"failed", report.Failed},
	})
	return err
}

// goMetrics reads podgate's metrics.
func (s *soaker) goMetrics(ctx context.Context) (goroutines int, heapMB float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin.String()+"/metrics", nil)
	if err != nil {
		return 0, 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, 0, err
	}
	values := map[string]float64{}
	for row := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(row), " "); ok {
			values[name], _ = strconv.ParseFloat(value, 64) // a comment has no number
		}
	}
	const megabyte = 1 << 20
	if values["go_goroutines"] == 0 {
		return 0, 0, fmt.Errorf("no go_goroutines among the metrics: %s", resp.Status)
	}
	return int(values["go_goroutines"]), round(values["go_memstats_heap_inuse_bytes"] / megabyte), nil
}
