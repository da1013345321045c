// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"podgate/daemon/edgetest"
)

// rss is podgate's whole resident memory: when it is in sync, and after one pod of
// each Service in turn was replaced for a while (-churn); and what it takes of a
// processor meanwhile. The yardstick is the memory of the HAProxy that serves the
// same servers.
func rss(ctx context.Context, e *edge) (line, error) {
	pid := e.podgate.pid()
	synced := residentMB(pid)
	before, err := e.podgate.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	tick := time.NewTicker(time.Second / churnRate)
	defer tick.Stop()
	changes := int(e.churn.Seconds()) * churnRate
	for i := range changes {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if err := e.shop.replacePod(i); err != nil {
			return nil, err
		}
	}
	after, err := e.podgate.cpu()
	if err != nil {
		return nil, err
	}
	percent := round(100 * float64(after-before) / float64(time.Since(began)))
	if !edgetest.Pause(ctx, settleTime) {
		return nil, context.Cause(ctx)
	}
	process, err := e.Runtime.Process(ctx)
	if err != nil {
		return nil, err
	}
	return line{
		{"synced_mb", synced}, {"churned_mb", residentMB(pid)}, {"peak_mb", peakMB(pid)}, {"changes", changes},
		{"podgate_cpu_percent", percent}, {"reloads", e.podgate.reloads()},
		{"yardstick_haproxy_mb", residentMB(process.Pid)},
	}, nil
}
