//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// report prints the figures of the run, whether it went well or not.
func (s *story) report(t *testing.T) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "clients\trequests\tfailed\tslowest\t")
	for _, kind := range kinds {
		tally := s.load.tallies[kind]
		slowest := time.Duration(tally.slowest.Load())
		fmt.Fprintf(w, "%s\t%d\t%d\t%v\t\n", kind, tally.requests.Load(), tally.failed.Load(), slowest.Round(time.Millisecond))
	}
	all, failed := s.load.requests(kinds...)
	fmt.Fprintf(w, "all\t%d\t%d\t\t\n", all, failed)
	w.Flush()

	changes := s.slices.counted()
	w = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w)
	fmt.Fprintf(w, "endpoints\t%d added, %d removed, %d times another condition\n", changes.added, changes.removed, changes.turned)
	fmt.Fprintf(w, "Services\t%d created, %d removed\n", s.created, s.removed)
	fmt.Fprintf(w, "HAProxy\t%d reloads\n", s.edge.reloads())
	fmt.Fprintf(w, "a pod's first request\t%s after its endpoint came\n", quantiles(s.kubelet.firstRequests()))
	fmt.Fprintf(w, "a pod's last request\t%s after its endpoint had gone\n", quantiles(s.kubelet.lastRequests()))
	fmt.Fprintf(w, "duration\t%v\n", time.Since(s.began).Round(time.Second))
	w.Flush()
	t.Logf("the figures\n\n%s", b.String())

	if !t.Failed() {
		return
	}
	if text := s.load.describe(0); text != "" {
		t.Logf("the first failed requests\n%s", text)
	}
	if text, err := os.ReadFile(s.edge.file("conf/podgate.cfg")); err == nil {
		t.Logf("podgate.cfg\n%s", text)
	}
}

// quantiles puts durations into words.
func quantiles(all []time.Duration) string {
	if len(all) == 0 {
		return "never"
	}
	slices.Sort(all)
	at := func(share float64) time.Duration {
		return all[int(share*float64(len(all)-1))].Round(time.Millisecond)
	}
	return fmt.Sprintf("p50 %v, p99 %v, at most %v", at(0.5), at(0.99), at(1))
}
