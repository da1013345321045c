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
	churnTime = 30 * time.Second // unless -churn says otherwise
	churnRate = 100              // endpoint changes a second
)

// churn replaces the pods of all Services in turn: from each write to the API
// server to the first 200 from the new pod, and what podgate takes of a processor.
// The yardstick is "add server" alone, at the same time.
func churn(ctx context.Context, e *edge) (line, error) {
	reloads := e.podgate.reloads()
	before, err := e.podgate.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	yardstick := e.startYardstick(ctx)
	lags, err := e.replacePods(ctx)
	bare, yardstickErr := yardstick.stop()
	if err := errors.Join(err, yardstickErr); err != nil {
		return nil, err
	}
	after, err := e.podgate.cpu()
	if err != nil {
		return nil, err
	}
	cpu := line{
		{"changes_per_s", churnRate},
		{"podgate_cpu_percent", round(100 * float64(after-before) / float64(time.Since(began)))},
		{"reloads", e.podgate.reloads() - reloads},
	}
	return slices.Concat(figures("", lags), figures("yardstick_", bare), cpu), nil
}

// replacePods changes one Service after the other, at churnRate, and returns how
// long each took to be seen.
func (e *edge) replacePods(ctx context.Context) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watching sync.WaitGroup
	defer watching.Wait()
	var mu sync.Mutex
	var lags []time.Duration
	tick := time.NewTicker(time.Second / churnRate)
	defer tick.Stop()
	for i := range int(e.churn.Seconds()) * churnRate {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		service := serviceName(i % e.services)
		addr := e.shop.pods.Next(service, 1)[0]
		began := time.Now()
		if err := e.shop.setPods(service, addr); err != nil {
			return nil, err
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
	}
	watching.Wait()
	return lags, context.Cause(ctx)
}

// awaitPod waits until the Service's pod answers. It asks less and less often, for
// the case that the queue is long.
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
