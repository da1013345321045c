// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"podgate/daemon/edgetest"
)

const (
	// inSyncTimeout bounds the time from podgate's start until all Services answer.
	inSyncTimeout = time.Minute
	// settleTime is for the work that podgate does after the last answer.
	settleTime = 2 * time.Second
	// answerTimeout bounds how long one change may take to show.
	answerTimeout = 30 * time.Second
	// checkInterval is so long that health checks do not disturb the measurement.
	checkInterval = time.Hour
)

// edge is an edgetest.Edge whose podgate is a process of its own.
type edge struct {
	size
	*edgetest.Edge
	check   bool // health checks are on, as is podgate's default
	shop    shop
	version string // of HAProxy
	podgate *podgate
	admin   netip.AddrPort // podgate's page and metrics
	bare    netip.AddrPort // where the yardstick's frontend listens
	inSync  time.Duration  // from podgate's start until the last Service answered
	churn   time.Duration  // how long churn and rss replace pods
}

// openEdge fills a cluster, and returns when HAProxy serves all of it.
func openEdge(ctx context.Context, s size, binary string) (*edge, error) {
	e := &edge{size: s, check: canCheck(s.services * s.pods), churn: churnTime}
	if err := e.open(ctx, binary); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *edge) open(ctx context.Context, binary string) (err error) {
	if e.shop, err = openShop(e.size); err != nil {
		return err
	}
	if e.Edge, err = edgetest.OpenEdge(ctx, e.shop.Cluster, edgetest.Options{}); err != nil {
		return err
	}
	if err := e.configure(ctx); err != nil {
		return err
	}
	if e.inSync, err = e.startPodgate(ctx, binary); err != nil {
		return e.withLogs(err)
	}
	if !edgetest.Pause(ctx, settleTime) {
		return context.Cause(ctx)
	}
	return nil
}

// canCheck reports whether HAProxy may open a file for each server, which it needs for
// health checks. Without that permission it does not start.
func canCheck(servers int) bool {
	const more = 8000
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return err == nil && limit.Max >= uint64(servers+more)
}

// configure makes HAProxy load the yardstick, and writes podgate.toml.
func (e *edge) configure(ctx context.Context) (err error) {
	for _, addr := range []*netip.AddrPort{&e.bare, &e.admin} {
		if *addr, err = e.HAProxy.FreeAddr(); err != nil {
			return err
		}
	}
	if err := e.HAProxy.Write(map[string][]byte{"yardstick.cfg": yardstickConfig(e.bare)}); err != nil {
		return err
	}
	if err := e.HAProxy.Restart(ctx); err != nil {
		return err
	}
	process, err := e.Runtime.Process(ctx)
	if err != nil {
		return err
	}
	e.version = process.Version
	e.Set("safety.max_servers", 10_000_000) // all are in one namespace
	e.Set("defaults.check", e.check)
	e.Set("defaults.check_interval", checkInterval)
	e.Set("admin.listen", []string{e.admin.String()})
	return e.Configure("")
}

// startPodgate starts podgate and returns the time until the last Service answered.
func (e *edge) startPodgate(ctx context.Context, binary string) (time.Duration, error) {
	began := time.Now()
	process, err := e.StartProcess(binary)
	if err != nil {
		return 0, err
	}
	e.podgate = &podgate{Process: process}
	for _, i := range []int{0, e.services - 1} {
		if err := e.await(ctx, serviceName(i), inSyncTimeout); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// await waits until the Service answers, each time over a new connection.
func (e *edge) await(ctx context.Context, service string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return new(edgetest.Client).Until(ctx, e.request(service), 2*time.Millisecond, func(a edgetest.Answer) bool { return a.Status == 200 })
}

// request returns a request to a Service.
func (e *edge) request(service string) edgetest.Request {
	return edgetest.Request{Addr: e.HTTP, Host: "edge.test", Path: "/" + service + "/"}
}

// withLogs adds the ends of the logs to an error.
func (e *edge) withLogs(err error) error {
	return fmt.Errorf("%w\npodgate's log ends with:\n%s\nHAProxy's log ends with:\n%s", err, e.podgate.Tail(), e.HAProxy.Log())
}

// close ends podgate, HAProxy, the pods and the cluster. The edge may be half open.
func (e *edge) close() error {
	var errs []error
	if e.podgate != nil {
		errs = append(errs, e.podgate.stop())
	}
	if e.Edge != nil {
		errs = append(errs, e.Close())
	}
	e.shop.close()
	return errors.Join(errs...)
}
