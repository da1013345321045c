// SPDX-License-Identifier: Apache-2.0

// Package health polls HAProxy for the results of its health checks, and finds the
// Services without enough servers. It checks no server itself and changes nothing.
package health

import (
	"context"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/compile"
	"podgate/daemon/latest"
	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// Polling is how often to poll HAProxy.
type Polling struct {
	Interval time.Duration // minimum time between two polls
	// Share limits the load: after a poll, the next one waits at least Share times as
	// long as the poll took.
	Share int
	// Patience is how long a Service may lack servers before that is a Problem, because
	// the servers of a new Service are not checked immediately.
	Patience time.Duration
}

// DefaultPolling returns the Polling for clusters of any size.
func DefaultPolling() Polling {
	return Polling{Interval: 5 * time.Second, Share: 50, Patience: 8 * time.Second}
}

// Poll polls HAProxy until ctx ends, and sends each answer on out, which must have a
// capacity of 1: an answer replaces one that was not received yet. Poll does not close
// out.
func Poll(ctx context.Context, r *runtime.Client, p Polling, out chan *admin.Health) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		h := &admin.Health{}
		h.Up, _ = r.Up(ctx) // the loop reports a HAProxy that does not answer
		if h.Up != nil {
			h.OldWorkers = r.OldWorkers(ctx)
		}
		h.At = time.Now()
		latest.Send(out, h)
		timer.Reset(max(p.Interval, time.Duration(p.Share)*time.Since(began)))
	}
}

// Tracker holds the last answer of HAProxy, and which Services lack servers since when.
// It may not be used concurrently. The zero Tracker has no answer.
type Tracker struct {
	last     *admin.Health
	polled   haproxy.Backends // that HAProxy should have had at the last answer
	since    map[shortage]time.Time
	problems []compile.Problem
}

// shortage is a backend of which not all servers can receive clients.
type shortage struct {
	backend string
	kind    compile.Kind
	text    string
}

// Set sets the last answer. Result is what HAProxy should serve, nil before the cluster
// was read.
func (t *Tracker) Set(h *admin.Health, result *compile.Result, patience time.Duration) {
	h.Before, t.polled = t.polled, haproxy.Backends{}
	t.last = h
	if result == nil {
		return
	}
	t.polled = result.State.Backends
	now := time.Now()
	since := map[shortage]time.Time{}
	t.problems = nil
	explained := map[compile.Problem]bool{} // ports without servers for another reason than endpoints
	for _, p := range result.Problems {
		if p.Kind == compile.NoEndpoints {
			explained[compile.Problem{Service: p.Service, Port: p.Port}] = true
		}
	}
	for i, b := range result.State.Backends.All() {
		s, ok := shortageOf(b, h)
		if !ok || s.kind == compile.NoEndpoints && explained[compile.Problem{Service: result.Ports[i].Service, Port: result.Ports[i].Label()}] {
			continue
		}
		began, known := t.since[s]
		if !known {
			began = now
		}
		since[s] = began
		if now.Sub(began) >= patience {
			port := result.Ports[i]
			t.problems = append(t.problems, compile.Problem{Kind: s.kind, Service: port.Service, Port: port.Label(), Text: s.text})
		}
	}
	t.since = since
}

// Last returns the last answer, nil before the first.
func (t *Tracker) Last() *admin.Health { return t.last }

// Problems returns a Problem for each Service that has lacked servers for Patience.
func (t *Tracker) Problems() []compile.Problem { return t.problems }

// The texts do not contain the number of servers, because a Problem with another text
// is another Problem and is logged again.
const (
	textNoEndpoints = "no endpoints, clients get 503 (does the Service's selector match pods, and are they ready?)"
	textUnhealthy   = "no server passes its health check, clients get 503 (can this machine reach the pods? podgate explain shows the result of each check)"
	textDegraded    = "some servers fail their health checks (podgate explain shows the result of each check)"
)

func shortageOf(b *haproxy.Backend, h *admin.Health) (shortage, bool) {
	if b.Unknown {
		return shortage{}, false
	}
	if len(b.Servers) == 0 && h.Up[b.Name] == 0 { // with servers up, their removal is held
		return shortage{b.Name, compile.NoEndpoints, textNoEndpoints}, true
	}
	ready := admin.ReadyServers(b)
	up, known := h.UpServers(b, ready)
	switch {
	case !b.Options.Check || !known || ready == 0:
		return shortage{}, false
	case up == 0:
		return shortage{b.Name, compile.Unhealthy, textUnhealthy}, true
	case up < ready:
		return shortage{b.Name, compile.Degraded, textDegraded}, true
	}
	return shortage{}, false
}
