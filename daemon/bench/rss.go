// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"podgate/daemon/edgetest"
)

// rss measures podgate's resident memory when it is in sync, and after one pod of each
// Service in turn was replaced for a while (-churn), and podgate's processor time
// meanwhile. The yardstick is the memory of the HAProxy that serves the same servers.
func rss(ctx context.Context, e *edge) (line, error) {
	pid := e.podgate.pid()
	synced := residentMB(pid)
	changes, percent, err := e.underChurn(ctx, e.shop.replacePod)
	if err != nil {
		return nil, err
	}
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
