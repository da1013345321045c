// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"podgate/daemon/edgetest"
)

const (
	churnTime = 30 * time.Second // the default of -churn
	churnRate = 100              // endpoint changes a second
)

// churn replaces the pods of all Services in turn. It measures the time from each write to
// the API server to the first 200 from the new pod, and podgate's processor time. The
// yardstick is "add server" alone, at the same time.
func churn(ctx context.Context, e *edge) (line, error) {
	reloads := e.podgate.reloads()
	yardstickCtx, stop := context.WithCancel(ctx)
	defer stop()
	var yardstick sync.WaitGroup
	var bare []time.Duration
	var bareErr error
	yardstick.Go(func() { bare, bareErr = e.addServers(yardstickCtx) })
	lags, percent, err := e.replacePods(ctx)
	stop()
	yardstick.Wait()
	if err := errors.Join(err, bareErr); err != nil {
		return nil, err
	}
	cpu := line{{"changes_per_s", churnRate}, {"podgate_cpu_percent", percent}, {"reloads", e.podgate.reloads() - reloads}}
	return slices.Concat(figures("", lags), figures("yardstick_", bare), cpu), nil
}

// underChurn calls change churnRate times per second, for e.churn, and returns how often,
// and podgate's processor time meanwhile in percent.
func (e *edge) underChurn(ctx context.Context, change func(i int) error) (changes int, percent float64, err error) {
	before, err := e.podgate.cpu()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	tick := time.NewTicker(time.Second / churnRate)
	defer tick.Stop()
	for ; changes < int(e.churn.Seconds())*churnRate; changes++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		}
		if err := change(changes); err != nil {
			return 0, 0, err
		}
	}
	after, err := e.podgate.cpu()
	return changes, round(100 * float64(after-before) / float64(time.Since(began))), err
}

// replacePods changes one Service after the other, and returns how long each new pod took
// to answer, and podgate's processor time in percent.
func (e *edge) replacePods(ctx context.Context) (lags []time.Duration, percent float64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watching sync.WaitGroup
	defer watching.Wait()
	var mu sync.Mutex
	_, percent, err = e.underChurn(ctx, func(i int) error {
		service := serviceName(i % e.services)
		addr := e.shop.pods.Next(service, 1)[0]
		began := time.Now()
		if err := e.shop.setPods(service, addr); err != nil {
			return err
		}
		watching.Go(func() {
			if err := e.awaitPod(ctx, service, addr); err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			lags = append(lags, time.Since(began))
		})
		return nil
	})
	watching.Wait()
	return lags, percent, errors.Join(err, context.Cause(ctx))
}

// awaitPod waits until the pod of the Service answers. It sends requests less and less
// often, because the queue may be long.
func (e *edge) awaitPod(ctx context.Context, service string, pod netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	c := &edgetest.Client{KeepAlive: true}
	defer c.Close()
	for between := 500 * time.Microsecond; ; between = min(2*between, 20*time.Millisecond) {
		soon, stop := context.WithTimeout(ctx, 100*between)
		err := c.Until(soon, e.request(service), between, func(a edgetest.Answer) bool { return a.Header.Get(edgetest.PodHeader) == pod.String() })
		stop()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}
