// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// soaker is a cluster that changes for a long time.
type soaker struct {
	*edge
	began   time.Time
	changes int
	extra   int // Services that were made beside the first ones
}

// soak has pods move and Services come and go for as long as is asked, and
// writes, every now and then, what podgate and HAProxy take. What grows and does
// not come down again is a leak.
func soak(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench soak", flag.ContinueOnError)
	services := flags.Int("services", 1000, "how many Services there are")
	pods := flags.Int("pods", 4, "how many pods each of them has")
	duration := flags.Duration("duration", time.Minute, "how long")
	every := flags.Duration("every", 10*time.Second, "the time between two lines")
	rate := flags.Int("rate", 50, "changes of a Service's pods a second; every thousandth is a new Service, and an old one goes")
	podgate := flags.String("podgate", "bin/podgate", "the podgate to run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	e, err := openEdge(ctx, size{*services, *pods}, noTLS, *podgate)
	if err != nil {
		return err
	}
	s := &soaker{edge: e, began: time.Now()}
	l := e.startLoad("/" + serviceName(0) + "/")
	err = s.run(ctx, *duration, *every, time.Second/time.Duration(*rate), l, out)
	met := l.stop()
	if met.failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d requests failed, the last: %s", met.failed, len(met.times), met.failure))
	}
	if err != nil {
		err = fmt.Errorf("soak: %w\npodgate said:\n%s\nHAProxy said:\n%s", err, e.podgate.log(), e.haproxy.Log())
	}
	return errors.Join(err, e.close())
}

func (s *soaker) run(ctx context.Context, duration, every, between time.Duration, l *load, out io.Writer) error {
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

// change replaces the pods of one Service, but the first's, which is asked all
// the time and of whose pods only one is replaced. Addresses begin anew after a
// while, as in a cluster.
func (s *soaker) change() error {
	const addresses, perExtra, extras = 1 << 20, 1000, 5
	s.changes++
	if s.pods.given.Load() > addresses {
		s.pods.given.Store(0)
	}
	if s.changes%perExtra == 0 {
		s.extra++
		if gone := s.extra - extras; gone > 0 {
			s.api.Delete("Service", namespace, fmt.Sprintf("extra-%d", gone))
			s.api.Delete("EndpointSlice", namespace, fmt.Sprintf("extra-%d-1", gone))
		}
		return s.addService(fmt.Sprintf("extra-%d", s.extra), s.pods.next(s.size.pods)...)
	}
	return s.setPods(serviceName(s.changes%s.services), s.pods.next(s.size.pods)...)
}

// line measures once.
func (s *soaker) line(ctx context.Context, l *load, out io.Writer) error {
	began := time.Now()
	process, err := s.runtime.Process(ctx)
	socket := time.Since(began)
	if err != nil {
		return err
	}
	goroutines, heap, err := s.goMetrics(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	sent, failed := len(l.met.times), l.met.failed
	l.mu.Unlock()
	_, err = fmt.Fprintln(out, line{
		{"name", "soak"}, {"haproxy", s.version}, {"services", s.services}, {"pods_per_service", s.size.pods},
		{"elapsed_s", int(time.Since(s.began).Seconds())}, {"changes", s.changes}, {"reloads", s.podgate.reloads()},
		{"podgate_rss_mb", s.podgate.memory()}, {"podgate_heap_mb", heap}, {"podgate_goroutines", goroutines},
		{"podgate_descriptors", descriptors(s.podgate.cmd.Process.Pid)},
		{"haproxy_rss_mb", residentMB(process.Pid)}, {"haproxy_descriptors", descriptors(process.Pid)}, {"socket_ms", ms(socket)},
		{"requests", sent}, {"failed", failed},
	})
	return err
}

// goMetrics asks podgate itself.
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
			values[name], _ = strconv.ParseFloat(value, 64) // comments are no numbers
		}
	}
	const megabyte = 1 << 20
	if values["go_goroutines"] == 0 {
		return 0, 0, fmt.Errorf("no go_goroutines among the metrics: %s", resp.Status)
	}
	return int(values["go_goroutines"]), round(values["go_memstats_heap_inuse_bytes"] / megabyte), nil
}

// descriptors is how many files a process has open.
func descriptors(pid int) int {
	open, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	return len(open)
}
