// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"podgate/daemon/edgetest"
)

const (
	serviceTrials = 5
	reloadTrials  = 5
	// reloadPause is so long that no reload waits for what the last one cost.
	reloadPause = 10 * time.Second
)

// serviceToFirst200 adds a Service with a pod, several times, and measures the time from
// the write to the API server to the first 200. The yardstick is a reload of the same
// files without podgate.
func serviceToFirst200(ctx context.Context, e *edge) (line, error) {
	before := e.podgate.reloads()
	var times []time.Duration
	for i := range serviceTrials {
		if !edgetest.Pause(ctx, reloadPause) {
			return nil, context.Cause(ctx)
		}
		name := fmt.Sprintf("new-%d", i)
		began := time.Now()
		if err := e.shop.addService(name, 1); err != nil {
			return nil, err
		}
		if err := e.await(ctx, name, answerTimeout); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	yardstick, err := e.bareReloads(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Concat(figures("", times), figures("yardstick_", yardstick), line{{"reloads", e.podgate.reloads() - before}}), nil
}

// bareReloads ends podgate, and reloads HAProxy with the same files several times.
func (e *edge) bareReloads(ctx context.Context) ([]time.Duration, error) {
	if !edgetest.Pause(ctx, settleTime) {
		return nil, context.Cause(ctx)
	}
	if err := e.podgate.stop(); err != nil {
		return nil, err
	}
	process, err := e.Runtime.Process(ctx)
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for range reloadTrials {
		if !edgetest.Pause(ctx, time.Second) {
			return nil, context.Cause(ctx)
		}
		began := time.Now()
		if _, err := e.Runtime.Reload(ctx, process.Generation); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}
