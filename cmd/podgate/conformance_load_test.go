//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// target is where the load asks for one Service.
type target struct {
	service string // namespace/name; every answer has to name it
	host    string // the Host header
	path    string // prefix of the request's path
	strip   bool   // HAProxy takes the prefix away
	port    int    // a TCP Service's; zero for HTTP
	sticky  bool   // a client with a cookie stays with its pod as long as that stays

	asked sync.RWMutex // read-locked while a request runs
	open  bool         // false: no request may start
	since time.Time    // when it was first opened
}

// begin returns false where no request may start; else the caller calls done.
func (t *target) begin() bool {
	if !t.asked.TryRLock() {
		return false
	}
	if !t.open {
		t.asked.RUnlock()
		return false
	}
	return true
}

func (t *target) done() { t.asked.RUnlock() }

// admit lets requests start, or lets no further one start and returns when those
// that run have ended.
func (t *target) admit(open bool) {
	t.asked.Lock()
	defer t.asked.Unlock()
	t.open = open
	if t.since.IsZero() {
		t.since = time.Now()
	}
}

// tally counts the requests of one kind of client.
type tally struct {
	requests, failed atomic.Int64
	slowest          atomic.Int64 // nanoseconds over what the request itself asked for
}

// failure is a request that was not answered as it should be.
type failure struct {
	after   time.Duration // since the load began
	kind    string
	request string // method and URL, or the line sent
	cause   error
	haproxy string // HAProxy's log line of it, "" without one
}

func (f failure) String() string {
	text := fmt.Sprintf("%9.3fs %-10s %s: %v", f.after.Seconds(), f.kind, f.request, f.cause)
	if f.haproxy != "" {
		text += "\n           " + f.haproxy
	}
	return text
}

// The kinds of clients.
const (
	short     = "short"      // a connection for every request
	keepAlive = "keep-alive" // one connection as long as HAProxy keeps it
	idle      = "idle"       // the same, with seconds between two requests
	lines     = "tcp"        // up to twenty lines over one connection
)

var kinds = []string{short, keepAlive, idle, lines}

// load is what the clients do, from start to end.
type load struct {
	kubelet *kubelet
	logs    *haproxyLog
	began   time.Time
	tallies map[string]*tally // by kind; not changed after the start
	ids     atomic.Int64      // of requests

	workers sync.WaitGroup
	stopped sync.Once
	quit    chan struct{} // closed by stop

	mu       sync.Mutex
	targets  []*target
	failures []failure
}

// keptFailures is how many failures are kept in words.
const keptFailures = 20

// startLoad starts the clients. They have nothing to ask for before add.
func startLoad(k *kubelet, logs *haproxyLog, workers map[string]int) *load {
	l := &load{kubelet: k, logs: logs, began: time.Now(), tallies: map[string]*tally{}, quit: make(chan struct{})}
	for _, kind := range kinds {
		l.tallies[kind] = &tally{}
	}
	for kind, n := range workers {
		for range n {
			l.workers.Go(func() { l.work(kind) })
		}
	}
	return l
}

// stop ends the clients; requests that run end first. It may be called again.
func (l *load) stop() {
	l.stopped.Do(func() { close(l.quit) })
	l.workers.Wait()
}

// add waits until the target has first answered, then lets the clients ask it.
func (l *load) add(ctx context.Context, t *target, within time.Duration) error {
	deadline := time.Now().Add(within)
	for {
		err := l.probe(t)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("Service %s is not reached after %v: %w", t.service, within, err)
		}
		pause(ctx, 20*time.Millisecond)
	}
	t.admit(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.targets = append(l.targets, t)
	return nil
}

// probe asks a target once, on a connection of its own and uncounted.
func (l *load) probe(t *target) error {
	c := newClient(short)
	defer c.close()
	return c.ask(t, l.ids.Add(1), 0)
}

// remove lets no client ask the target any more and returns when the last
// request has ended.
func (l *load) remove(t *target) {
	l.mu.Lock()
	l.targets = slices.DeleteFunc(l.targets, func(known *target) bool { return known == t })
	l.mu.Unlock()
	t.admit(false)
}

// requests returns the number of requests so far and of those that failed, of
// some kinds of clients.
func (l *load) requests(kinds ...string) (all, failed int64) {
	for _, kind := range kinds {
		all += l.tallies[kind].requests.Load()
		failed += l.tallies[kind].failed.Load()
	}
	return all, failed
}

// describe returns the kept failures from the given one on.
func (l *load) describe(from int) string {
	pause(context.Background(), time.Second) // HAProxy's log lines come behind
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, f := range l.failures[min(from, len(l.failures)):] {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// work is one client's life.
func (l *load) work(kind string) {
	c := newClient(kind)
	defer c.close()
	for {
		select {
		case <-l.quit:
			return
		case <-time.After(think(kind)):
		}
		t := l.pick(kind)
		if t == nil || !t.begin() {
			continue
		}
		l.once(c, t)
		t.done()
	}
}

// think returns how long a client waits before its next request.
func think(kind string) time.Duration {
	if kind == idle {
		return time.Duration(500+rand.IntN(2500)) * time.Millisecond
	}
	return time.Duration(4+rand.IntN(9)) * time.Millisecond
}

// pick returns a target for a kind of client, nil where there is none.
func (l *load) pick(kind string) *target {
	l.mu.Lock()
	defer l.mu.Unlock()
	var fit []*target
	for _, t := range l.targets {
		if (t.port != 0) == (kind == lines) {
			fit = append(fit, t)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[rand.IntN(len(fit))]
}

// once sends one request and counts it. Some are slow, so that servers that
// leave have requests to finish.
func (l *load) once(c *client, t *target) {
	var work time.Duration
	if rand.IntN(100) < 3 {
		work = time.Duration(200+rand.IntN(300)) * time.Millisecond
	}
	if rand.IntN(20) == 0 {
		delete(c.cookies, t.service) // a new session
	}
	id := l.ids.Add(1)
	held := c.held(t) // the pod that the cookie stands for, "" for none
	stays := held != "" && l.kubelet.stays(held)

	start := time.Now()
	err := c.ask(t, id, work)
	took := time.Since(start) - work
	if err == nil && stays && c.held(t) != held && l.kubelet.stays(held) {
		err = fmt.Errorf("answered by %s, while the cookie's pod %s stays", c.held(t), held)
	}

	tally := l.tallies[c.kind]
	tally.requests.Add(1)
	for {
		slowest := tally.slowest.Load()
		if int64(took) <= slowest || tally.slowest.CompareAndSwap(slowest, int64(took)) {
			break
		}
	}
	if err != nil {
		tally.failed.Add(1)
		l.keep(failure{after: time.Since(l.began), kind: c.kind, request: c.last, cause: err}, id)
	}
}

// keep keeps the first failures and looks for what HAProxy logged of them.
func (l *load) keep(f failure, id int64) {
	l.mu.Lock()
	i := len(l.failures)
	if i < keptFailures {
		l.failures = append(l.failures, f)
	}
	l.mu.Unlock()
	if i < keptFailures {
		l.workers.Go(func() {
			pause(context.Background(), 500*time.Millisecond)
			line := l.logs.find(fmt.Sprintf("id=%d&", id))
			l.mu.Lock()
			defer l.mu.Unlock()
			l.failures[i].haproxy = line
		})
	}
}
