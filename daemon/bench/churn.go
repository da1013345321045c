// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"podgate/haproxy"
)

const (
	churnTime = 30 * time.Second // the default of -churn
	churnRate = 100              // endpoint changes a second
)

// churn replaces one pod of each Service in turn. It measures the time from each write to
// the API server until HAProxy has the new server, and podgate's processor time. The
// yardstick is "add server" alone, at the same time.
func churn(ctx context.Context, e *edge) (line, error) {
	reloads, passes := e.podgate.reloads(), e.podgate.passes()
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
	cpu := line{{"changes_per_s", churnRate}, {"podgate_cpu_percent", percent}, {"passes", e.podgate.passes() - passes}, {"reloads", e.podgate.reloads() - reloads}}
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

// replacePods changes one Service after the other, and returns how long each new server
// took to be in service, and podgate's processor time in percent.
func (e *edge) replacePods(ctx context.Context) (lags []time.Duration, percent float64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &serverWatch{}
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := w.run(ctx, e); err != nil {
			cancel(err)
		}
	})
	_, percent, err = e.underChurn(ctx, func(i int) error {
		i %= e.services
		service := serviceName(i)
		added := e.shop.pods.Next(service, 1)[0]
		began := time.Now()
		if err := e.shop.replacePodWith(i, added); err != nil {
			return err
		}
		w.add(awaited{backendName(service) + "/" + haproxy.ServerName(added), began})
		return nil
	})
	w.end()
	watching.Wait()
	return w.lags, percent, errors.Join(err, context.Cause(ctx))
}
