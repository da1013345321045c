// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"podgate/haproxy/cfgfile"
	"podgate/haproxy/haproxytest"
)

const startTrials = 9

// starts is how an HAProxy started, time and again.
type starts struct {
	*haproxytest.HAProxy
	addr  netip.AddrPort  // where it ends TLS
	times []time.Duration // until it showed the last certificate
	cpu   []time.Duration // that its processes used until then
}

// certificatesStart is how long HAProxy takes to start with what podgate has
// written, beside two of the same version that load the same crt-list: a bare
// one, which has no backend at all, and one that has as many, written by hand
// with what it takes and no more. A start is short beside what else a machine
// may do meanwhile, which processor time does not count. And how long a podgate
// takes that finds all in order; its first start, at which HAProxy has none of
// the certificates, is start_to_in_sync_ms.
func certificatesStart(ctx context.Context, e *edge) (line, error) {
	if err := e.podgate.stop(); err != nil {
		return nil, err
	}
	ours := &starts{HAProxy: e.haproxy, addr: e.https}
	bare, err := e.startYardstickOf(ctx, "  http-request return status 200\n")
	if err != nil {
		return nil, err
	}
	defer bare.Stop()
	equal, err := e.startYardstickOf(ctx, e.backendsByHand())
	if err != nil {
		return nil, err
	}
	defer equal.Stop()
	for range startTrials { // in turns, as the machine may have other things to do
		for _, s := range []*starts{ours, bare, equal} {
			if err := e.startAgain(ctx, s); err != nil {
				return nil, err
			}
		}
	}
	var again []time.Duration
	for range startTrials {
		took, err := e.podgateAgain(ctx)
		if err != nil {
			return nil, err
		}
		again = append(again, took)
	}
	return slices.Concat(
		line{{"certificates", e.services}, {"key", e.tls}}, ours.figures(""), bare.figures("yardstick_"), equal.figures("equal_"),
		line{
			{"to_yardstick", ratio(ours.times, bare.times)}, {"to_equal", ratio(ours.times, equal.times)},
			{"cpu_to_yardstick", ratio(ours.cpu, bare.cpu)}, {"cpu_to_equal", ratio(ours.cpu, equal.cpu)},
		},
		figures("podgate_again_", again),
	), nil
}

// figures are those of the times, and the middle of what they took of a
// processor.
func (s *starts) figures(prefix string) line {
	return append(figures(prefix, s.times), field{prefix + "cpu_p50_ms", ms(median(s.cpu))})
}

func median(times []time.Duration) time.Duration {
	return percentile(slices.Sorted(slices.Values(times)), 50)
}

func ratio(times, yardstick []time.Duration) float64 {
	return round(median(times).Seconds() / median(yardstick).Seconds())
}

// startYardstickOf starts an HAProxy whose frontend loads our crt-list and goes
// on with rest.
func (e *edge) startYardstickOf(ctx context.Context, rest string) (*starts, error) {
	listen, err := e.haproxy.FreeAddr()
	if err != nil {
		return nil, err
	}
	h, err := haproxytest.Start(ctx, haproxytest.Options{Files: map[string][]byte{
		"yardstick.cfg": fmt.Appendf(nil, "frontend yardstick\n  bind %s ssl crt-list %s strict-sni\n%s", listen, filepath.Join(e.haproxy.Folder, cfgfile.CrtListFile), rest),
	}})
	return &starts{HAProxy: h, addr: listen}, err
}

// backendsByHand leads each host to a backend with a pod, as podgate does.
func (e *edge) backendsByHand() string {
	var text strings.Builder
	text.WriteString("  use_backend %[req.hdr(host),lower]\n")
	check := ""
	if e.check {
		check = fmt.Sprintf(" check inter %d", checkInterval.Milliseconds())
	}
	for i := range e.services {
		fmt.Fprintf(&text, "backend %s\n  balance roundrobin\n", host(serviceName(i)))
		for n, addr := range e.pods.next(e.size.pods) {
			fmt.Fprintf(&text, "  server pod%d %s%s\n", n, addr, check)
		}
	}
	return text.String()
}

// startAgain starts an HAProxy again, and goes by the last certificate that it
// shows.
func (e *edge) startAgain(ctx context.Context, s *starts) error {
	if err := s.KillMaster(); err != nil {
		return err
	}
	began := time.Now()
	if err := s.Restart(ctx); err != nil {
		return err
	}
	name := host(serviceName(e.services - 1))
	shown, err := handshake(ctx, s.addr, name)
	took := time.Since(began)
	if err != nil {
		return err
	}
	if shown.VerifyHostname(name) != nil {
		return fmt.Errorf("%s shows the certificate of %v", name, shown.DNSNames)
	}
	cpu, err := cpuOfBoth(s.Pid())
	s.times, s.cpu = append(s.times, took), append(s.cpu, cpu)
	return err
}

// cpuOfBoth is the processor time of a worker and its master: up to HAProxy 3.0
// it is the master that reads the files.
func cpuOfBoth(worker int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", worker))
	if err != nil {
		return 0, err
	}
	_, behind, _ := bytes.Cut(text, []byte("\nPPid:"))
	parent, _, _ := bytes.Cut(behind, []byte("\n"))
	master, err := strconv.Atoi(string(bytes.TrimSpace(parent)))
	if err != nil {
		return 0, err
	}
	ofWorker, err := threadsOf(worker)
	if err != nil {
		return 0, err
	}
	ofMaster, err := threadsOf(master)
	return ofWorker + ofMaster, err
}

// threadsOf is the processor time of the threads that a process has, to the
// nanosecond, where cpuOf may miss a tenth of what a start takes (the kernel's
// sched-stats.rst).
func threadsOf(pid int) (cpu time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, fmt.Errorf("process %d is not there", pid)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		cpu += time.Duration(ns)
	}
	return cpu, nil
}

// podgateAgain starts podgate again, and returns how long it took until that was
// in sync.
func (e *edge) podgateAgain(ctx context.Context) (time.Duration, error) {
	if err := e.podgate.stop(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, inSyncTimeout)
	defer cancel()
	began := time.Now()
	var err error
	if e.podgate, err = startPodgate(e.podgate.cmd.Path, filepath.Join(e.dir, "podgate.toml"), filepath.Join(e.dir, "log")); err != nil {
		return 0, err
	}
	for !e.isInSync(ctx) {
		if !pause(ctx, 2*time.Millisecond) {
			return 0, fmt.Errorf("podgate is out of sync: %w", context.Cause(ctx))
		}
	}
	took := time.Since(began)
	if n := e.podgate.reloads(); n != 0 {
		return 0, fmt.Errorf("podgate reloaded HAProxy %d times although nothing had changed", n)
	}
	return took, nil
}

func (e *edge) isInSync(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.admin.String()+"/api/v1/status?services=0&changes=0", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return err == nil && bytes.Contains(text, []byte(`"in_sync":true`))
}
