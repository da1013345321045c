// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"podgate/kubeapi"
)

const (
	rollingPods  = 50
	rollingPause = 100 * time.Millisecond // from a new pod to the end of an old one, and to the next
	rollingGrace = 2 * time.Second        // from an old pod's end, told as terminating, to its shutdown
	quietTime    = 5 * time.Second
)

// rollingUpdate replaces the pods of one Service one by one, as a Deployment
// does, under clients that never stop. The yardstick is what the same clients
// meet while nothing changes.
func rollingUpdate(ctx context.Context, e *edge) (line, error) {
	r := &rollout{edge: e, service: "rolling"}
	defer r.close()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	reloads := e.podgate.reloads()
	quiet := e.startLoad("/" + r.service + "/")
	pause(ctx, quietTime)
	yardstick := quiet.stop()
	load := e.startLoad("/" + r.service + "/")
	err := r.roll(ctx)
	rolled := load.stop()
	if err != nil {
		return nil, err
	}
	counts := line{
		{"pods", rollingPods}, {"requests", len(rolled.times)}, {"failed", rolled.failed}, {"last_failure", rolled.failure},
		{"yardstick_requests", len(yardstick.times)}, {"yardstick_failed", yardstick.failed},
		{"reloads", e.podgate.reloads() - reloads},
	}
	return slices.Concat(figures("", rolled.times), figures("yardstick_", yardstick.times), counts), nil
}

// rollout is a Service with pods that end, each with a listener of its own.
type rollout struct {
	*edge
	service string
	port    uint16
	running []*pod         // oldest first
	leaving sync.WaitGroup // goroutines that end pods
}

type pod struct {
	endpoint kubeapi.Endpoint
	server   *http.Server
	served   chan struct{} // closed when server has ended
}

// start puts the Service into the cluster and waits until it is served.
func (r *rollout) start(ctx context.Context) error {
	for range rollingPods {
		if err := r.addPod(); err != nil {
			return err
		}
	}
	if err := r.addService(r.service); err != nil {
		return err
	}
	if err := r.publish(); err != nil {
		return err
	}
	if err := r.await(ctx, r.service, answerTimeout); err != nil {
		return err
	}
	pause(ctx, settleTime)
	return ctx.Err()
}

// addPod starts a pod, on the port of the first.
func (r *rollout) addPod() error {
	addr := netip.AddrPortFrom(r.pods.next(1)[0].Addr(), r.port)
	listener, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return fmt.Errorf("start pod: %w", err)
	}
	r.port = uint16(listener.Addr().(*net.TCPAddr).Port)
	p := &pod{endpoint: ready(addr), served: make(chan struct{})}
	p.server = servePod(listener, p.served)
	r.running = append(r.running, p)
	return nil
}

// publish writes the EndpointSlice.
func (r *rollout) publish() error {
	endpoints := make([]kubeapi.Endpoint, len(r.running))
	for i, p := range r.running {
		endpoints[i] = p.endpoint
	}
	return r.setEndpoints(r.service, r.port, endpoints...)
}

// roll replaces all pods.
func (r *rollout) roll(ctx context.Context) error {
	for range rollingPods {
		if err := errors.Join(r.addPod(), r.publish()); err != nil {
			return err
		}
		if !pause(ctx, rollingPause) {
			return context.Cause(ctx)
		}
		leaving := r.running[0]
		leaving.endpoint.Ready, leaving.endpoint.Terminating = false, true
		if err := r.publish(); err != nil {
			return err
		}
		if !pause(ctx, rollingPause) {
			return context.Cause(ctx)
		}
		r.running = r.running[1:]
		if err := r.publish(); err != nil {
			return err
		}
		r.leaving.Go(func() {
			pause(ctx, rollingGrace)
			_ = leaving.server.Shutdown(ctx) // ctx has ended else, and close is next
			<-leaving.served
		})
	}
	pause(ctx, rollingGrace)
	return ctx.Err()
}

// close ends all pods.
func (r *rollout) close() {
	r.leaving.Wait()
	for _, p := range r.running {
		_ = p.server.Close() // errors are of connections that were going away anyway
		<-p.served
	}
}
