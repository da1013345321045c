// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"podgate/daemon/edgetest"
)

// endpointTrials is how often a pod is added.
const endpointTrials = 150

// endpointToFirst200 adds a pod to a Service that has none, many times, and measures the
// time from the write to the API server to the first 200. The yardstick is the same "add
// server" sent to HAProxy's socket, in turns with it.
func endpointToFirst200(ctx context.Context, e *edge) (line, error) {
	const service = "probe"
	if err := e.shop.addService(service, 1); err != nil {
		return nil, err
	}
	if err := e.await(ctx, service, answerTimeout); err != nil {
		return nil, err
	}
	if !edgetest.Pause(ctx, settleTime) {
		return nil, context.Cause(ctx)
	}
	reloads := e.podgate.reloads()
	var times, yardstick []time.Duration
	for range endpointTrials {
		bare, err := e.addServer(ctx)
		if err != nil {
			return nil, err
		}
		took, err := e.addPod(ctx, service)
		if err != nil {
			return nil, err
		}
		times, yardstick = append(times, took), append(yardstick, bare)
	}
	return slices.Concat(figures("", times), figures("yardstick_", yardstick),
		line{{"reloads", e.podgate.reloads() - reloads}}), nil
}

// addPod empties a Service, adds a pod and returns the time until the first answer.
func (e *edge) addPod(ctx context.Context, service string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	c, request := &edgetest.Client{KeepAlive: true}, e.request(service)
	defer c.Close()
	if err := e.shop.setPods(service); err != nil {
		return 0, err
	}
	if err := c.Until(ctx, request, time.Millisecond, func(a edgetest.Answer) bool { return a.Status == 503 }); err != nil {
		return 0, err
	}
	// The time since the previous change varies.
	if !edgetest.Pause(ctx, 20*time.Millisecond+rand.N(60*time.Millisecond)) {
		return 0, context.Cause(ctx)
	}
	addr := e.shop.pods.Next(service, 1)[0]
	began := time.Now()
	if err := e.shop.setPods(service, addr); err != nil {
		return 0, err
	}
	err := c.Until(ctx, request, 0, func(a edgetest.Answer) bool {
		return a.Status == 200 && a.Header.Get(edgetest.PodHeader) == addr.String()
	})
	return time.Since(began), err
}
