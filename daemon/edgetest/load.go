// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// LoadOptions describe the clients of a Load. The zero value is four of them.
type LoadOptions struct {
	Clients int           // zero is 4; half of them keep their connections
	Idle    int           // more clients, which keep their connections and let 0.5 to 3 s pass between two requests
	Think   time.Duration // average pause of the others between two requests; zero for no pause
	Failed  func(Failure) // is called by the client's goroutine; nil for none
}

// Load is clients that send requests to its Targets without pause. Most requests are short,
// some are slow, some are POSTs and some have large answers. It counts every request and
// repeats none. Its methods may be called concurrently, except Stop.
type Load struct {
	o       LoadOptions
	quit    chan struct{} // closed by Stop
	stop    sync.Once
	clients sync.WaitGroup

	mu      sync.Mutex
	targets []*target
	sent    int
	outages int // odd while one lasts
	report  Report
}

// Report counts the requests of a Load.
type Report struct {
	Sent     int
	Failed   int
	Excused  int           // failed in an Outage; Failed does not count them
	Longest  time.Duration // of the answered requests, without the sleep of the pod
	Failures []Failure     // the first that Failed counts
}

// Failure is a request that failed.
type Failure struct {
	At      time.Time // when it failed
	Took    time.Duration
	Request Request
	Err     error
}

// keptFailures is how many Failures a Report holds at most.
const keptFailures = 20

func (f Failure) String() string {
	return fmt.Sprintf("%s %s, after %s: %v", f.At.Format("15:04:05.000"), f.Request, f.Took.Round(time.Millisecond), f.Err)
}

// Err returns an error if a request failed or none was sent.
func (r Report) Err() error {
	switch {
	case r.Sent == 0:
		return errors.New("no request was sent")
	case r.Failed == 0:
		return nil
	}
	return fmt.Errorf("%d of %d requests failed, the first: %s", r.Failed, r.Sent, r.Failures[0])
}

func (r Report) String() string {
	return fmt.Sprintf("requests sent %d, failed %d, the longest took %s", r.Sent, r.Failed, r.Longest.Round(time.Millisecond))
}

// StartLoad starts the clients, which send nothing before Add.
func StartLoad(o LoadOptions) *Load {
	if o.Clients == 0 {
		o.Clients = 4
	}
	l := &Load{o: o, quit: make(chan struct{})}
	for i := range o.Clients {
		think := func() time.Duration { return o.Think/2 + rand.N(max(1, o.Think)) }
		l.clients.Go(func() { l.work(&caller{Client: Client{KeepAlive: i%2 == 0}}, think) })
	}
	for range o.Idle {
		think := func() time.Duration { return 500*time.Millisecond + rand.N(2500*time.Millisecond) }
		l.clients.Go(func() { l.work(&caller{Client: Client{KeepAlive: true}}, think) })
	}
	return l
}

// reachTimeout bounds how long a target may take until its first answer.
const reachTimeout = 20 * time.Second

// Add waits for a first answer of the target, which does not count. The clients send
// requests to the target from then on, until remove is called, which returns when the last
// request has ended. If there is no answer within 20 seconds, Add returns an error and
// counts a failed request.
func (l *Load) Add(ctx context.Context, t Target) (remove func(), err error) {
	began := time.Now()
	for err = Ask(t); err != nil; err = Ask(t) {
		if took := time.Since(began); took > reachTimeout {
			l.failed(Failure{At: time.Now(), Took: took, Request: t.Request, Err: err})
			return nil, fmt.Errorf("wait %s for Service %s: %w", reachTimeout, t.Service, err)
		}
		if !Pause(ctx, 10*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	added := &target{Target: t, since: time.Now()}
	l.targets = append(l.targets, added)
	return func() { l.remove(added) }, nil
}

func (l *Load) remove(t *target) {
	l.mu.Lock()
	l.targets = slices.DeleteFunc(l.targets, func(known *target) bool { return known == t })
	l.mu.Unlock()
	t.running.Wait()
}

// Outage excuses the requests that fail while f runs, for example because f kills HAProxy,
// and returns the error of f.
func (l *Load) Outage(f func() error) error {
	l.outage()
	defer l.outage()
	return f()
}

func (l *Load) outage() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outages++
}

// Report returns what was counted so far.
func (l *Load) Report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.report
	r.Failures = slices.Clone(r.Failures)
	return r
}

// Stop ends the clients after their running requests, and returns the Report. It may be
// called again.
func (l *Load) Stop() Report {
	l.stop.Do(func() { close(l.quit) })
	l.clients.Wait()
	return l.Report()
}

// work sends requests until Stop.
func (l *Load) work(c *caller, think func() time.Duration) {
	defer c.Close()
	timer := time.NewTimer(think())
	defer timer.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-timer.C:
		}
		wait := think()
		if t, n, outages := l.pick(); t == nil || !l.once(c, t, n, outages) {
			wait = max(wait, time.Millisecond) // HAProxy may be down
		}
		timer.Reset(wait)
	}
}

// pick returns a random target, after adding to its running requests, and the number of
// the next request; nil if there is no target.
func (l *Load) pick() (t *target, n, outages int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.targets) == 0 {
		return nil, 0, 0
	}
	t = l.targets[rand.IntN(len(l.targets))]
	t.running.Add(1)
	l.sent++
	return t, l.sent, l.outages
}

// once sends one request, counts it and reports whether it succeeded.
func (l *Load) once(c *caller, t *target, n, outages int) bool {
	defer t.running.Done()
	q := newQuery(n)
	if rand.IntN(20) == 0 {
		c.cookies = nil // a new session
	}
	began := time.Now()
	err := c.ask(t, q)
	took := time.Since(began)
	switch {
	case err == nil:
		l.answered(took - q.sleep)
	case !l.excused(outages):
		l.failed(Failure{At: time.Now(), Took: took, Request: q.request(t), Err: err})
	}
	return err == nil
}

func (l *Load) answered(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Sent++
	l.report.Longest = max(l.report.Longest, took)
}

// excused counts a failure and returns true if an Outage lasted at any moment of the
// request. outages is Load.outages at the begin of the request.
func (l *Load) excused(outages int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if outages%2 == 0 && outages == l.outages {
		return false
	}
	l.report.Sent++
	l.report.Excused++
	return true
}

func (l *Load) failed(f Failure) {
	l.mu.Lock()
	l.report.Sent++
	l.report.Failed++
	if len(l.report.Failures) < keptFailures {
		l.report.Failures = append(l.report.Failures, f)
	}
	l.mu.Unlock()
	if l.o.Failed != nil {
		l.o.Failed(f)
	}
}
