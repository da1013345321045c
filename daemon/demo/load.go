// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// workers ask about 900 times a second, all of them together.
	workers = 16
	think   = 12 * time.Millisecond
	// reachTimeout bounds how long a new Service may take until it answers.
	reachTimeout = 20 * time.Second
)

// target is a Service as the clients know it.
type target struct {
	kind  kind
	addr  netip.AddrPort // of HAProxy
	since time.Time      // when it was first answered

	running sync.WaitGroup // requests
}

// newTarget returns a target beside or on HAProxy's HTTP frontend.
func newTarget(k kind, http netip.AddrPort) *target {
	if k.port != 0 {
		http = netip.AddrPortFrom(http.Addr(), k.port)
	}
	return &target{kind: k, addr: http}
}

// url is what a user would ask.
func (t *target) url() string {
	host := t.kind.host
	if host == "" {
		host = t.addr.String()
	}
	return "http://" + host + t.kind.path
}

// load is the clients that never stop.
type load struct {
	http   netip.AddrPort // HAProxy's HTTP frontend
	tally  *tally
	screen *screen

	workers sync.WaitGroup
	quit    chan struct{} // closed by stop
	mu      sync.Mutex
	targets []*target
}

// startLoad starts the clients, which have nothing to ask for before add.
func startLoad(http netip.AddrPort, t *tally, s *screen) *load {
	l := &load{http: http, tally: t, screen: s, quit: make(chan struct{})}
	for i := range workers {
		l.workers.Go(func() { l.work(&client{keepAlive: i%2 == 0}) })
	}
	return l
}

// stop ends the clients, and the clock; requests that run end first.
func (l *load) stop() {
	close(l.quit)
	l.workers.Wait()
	l.tally.end()
}

// add has the clients ask for a Service from its first answer on, which it
// waits for. Until then nobody was promised anything.
func (l *load) add(ctx context.Context, k kind) (*target, error) {
	t := newTarget(k, l.http)
	deadline := time.Now().Add(reachTimeout)
	for {
		err := l.probe(t)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("wait %v for Service %s/%s: %w", reachTimeout, namespace, k.name, err)
		}
		if !pause(ctx, 10*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
	t.since = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.targets = append(l.targets, t)
	return t, nil
}

// probe asks once, uncounted.
func (l *load) probe(t *target) error {
	c := new(client)
	defer c.close()
	return c.ask(t)
}

// remove has the clients ask a Service no more, and returns when the last
// request has ended.
func (l *load) remove(t *target) {
	l.mu.Lock()
	l.targets = slices.DeleteFunc(l.targets, func(known *target) bool { return known == t })
	l.mu.Unlock()
	t.running.Wait()
}

// work is one client's life.
func (l *load) work(c *client) {
	defer c.close()
	timer := time.NewTimer(rand.N(think))
	defer timer.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-timer.C:
		}
		if t := l.pick(); t != nil {
			l.once(c, t)
		}
		timer.Reset(think/2 + rand.N(think))
	}
}

// pick returns some target whose running was raised, nil where there is none.
func (l *load) pick() *target {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.targets) == 0 {
		return nil
	}
	t := l.targets[rand.IntN(len(l.targets))]
	t.running.Add(1)
	return t
}

// once sends one request and counts it.
func (l *load) once(c *client, t *target) {
	defer t.running.Done()
	if rand.IntN(20) == 0 {
		c.cookies = nil // somebody else
	}
	err := c.ask(t)
	l.tally.request()
	if err == nil {
		return
	}
	if text := fmt.Sprintf("GET %s: %v", t.url(), err); l.tally.fail(text) {
		l.screen.tell("failed: " + text)
	}
}
