// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/compile"
	"podgate/daemon/latest"
	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// looking is how closely health is looked at.
type looking struct {
	interval time.Duration // between two questions to HAProxy, at least
	// share is how many times as long as HAProxy took to tell how its servers do it
	// is left alone then.
	share int
	// patience is how long a Service may be without a server that answers before
	// anybody is told: a new one has none for a moment.
	patience time.Duration
}

func usualLooking() looking {
	return looking{interval: 5 * time.Second, share: 50, patience: 8 * time.Second}
}

// watchHealth asks how HAProxy judges its servers, as often as how says, until ctx
// ends. Out holds one value, which the next replaces; nobody closes it.
func watchHealth(ctx context.Context, r *runtime.Client, how looking, out chan *admin.Health) {
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
		h.Up, _ = r.Up(ctx) // that it does not answer is told by who needs it more
		if h.Up != nil {
			h.Retired = r.OldWorkers(ctx)
		}
		h.At = time.Now()
		latest.Send(out, h)
		timer.Reset(max(how.interval, time.Duration(how.share)*time.Since(began)))
	}
}

// bare is a backend without a server that takes new clients, or with fewer than
// are wanted.
type bare struct {
	backend string
	kind    compile.Kind
	text    string
}

// healthProblems are of the Services that nobody answers for. One is told when
// it lasts.
type healthProblems struct {
	since map[bare]time.Time
	told  []compile.Problem
}

// look takes what HAProxy says now.
func (p *healthProblems) look(result *compile.Result, h *admin.Health, patience time.Duration) {
	now := time.Now()
	since := map[bare]time.Time{}
	p.told = nil
	for i, b := range result.State.Backends.All() {
		state, ok := bareness(b, h)
		if !ok {
			continue
		}
		begin, known := p.since[state]
		if !known {
			begin = now
		}
		since[state] = begin
		if now.Sub(begin) >= patience {
			port := result.Ports[i]
			p.told = append(p.told, compile.Problem{Kind: state.kind, Service: port.Service, Port: port.Label(), Text: state.text})
		}
	}
	p.since = since
}

// The texts do not tell how many: each other number would be another Problem.
const (
	textNoEndpoints = "no endpoints, clients get 503 (does the Service's selector match pods, and are they ready?)"
	textUnhealthy   = "no server passes its health check, clients get 503 (can this machine reach the pods? podgate explain says what each check met)"
	textDegraded    = "some servers fail their health checks (podgate explain says which, and what each check met)"
)

func bareness(b *haproxy.Backend, h *admin.Health) (bare, bool) {
	if len(b.Servers) == 0 && h.Up[b.Name] == 0 { // else their removal is held
		return bare{b.Name, compile.NoEndpoints, textNoEndpoints}, true
	}
	ready := admin.ReadyServers(b)
	up, known := h.UpServers(b, ready)
	switch {
	case !b.Options.Check || !known || ready == 0:
		return bare{}, false
	case up == 0:
		return bare{b.Name, compile.Unhealthy, textUnhealthy}, true
	case up < ready:
		return bare{b.Name, compile.Degraded, textDegraded}, true
	}
	return bare{}, false
}
