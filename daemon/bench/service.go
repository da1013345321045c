// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	serviceTrials = 5
	reloadTrials  = 5
	burst         = 100
)

// serviceToFirst200 adds a Service with a pod, again and again: from the write
// to the API server to its first 200. The yardstick is a bare reload of the same
// files, after podgate has ended.
func serviceToFirst200(ctx context.Context, e *edge) (line, error) {
	before := e.podgate.reloads()
	var times []time.Duration
	for i := range serviceTrials {
		// Or it would wait for the last reload to be long enough ago.
		if !pause(ctx, reloadInterval) {
			return nil, context.Cause(ctx)
		}
		name := fmt.Sprintf("new-%d", i)
		began := time.Now()
		if err := e.addService(name, e.pods.next(1)...); err != nil {
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

// serviceBurst adds a hundred Services at once: from the first write to the API
// server until all of them answer. The yardstick is as for one.
func serviceBurst(ctx context.Context, e *edge) (line, error) {
	if !pause(ctx, reloadInterval) {
		return nil, context.Cause(ctx)
	}
	before := e.podgate.reloads()
	began := time.Now()
	for i := range burst {
		if err := e.addService(fmt.Sprintf("new-%d", i), e.pods.next(1)...); err != nil {
			return nil, err
		}
	}
	var times []time.Duration
	for i := range burst {
		if err := e.await(ctx, fmt.Sprintf("new-%d", i), answerTimeout); err != nil {
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

// bareReloads ends podgate and reloads HAProxy with what is there.
func (e *edge) bareReloads(ctx context.Context) ([]time.Duration, error) {
	if !pause(ctx, settleTime) {
		return nil, context.Cause(ctx)
	}
	if err := e.podgate.stop(); err != nil {
		return nil, err
	}
	process, err := e.runtime.Process(ctx)
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for range reloadTrials {
		if !pause(ctx, time.Second) {
			return nil, context.Cause(ctx)
		}
		began := time.Now()
		if _, err := e.runtime.Reload(ctx, process.Generation); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}
