// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sync"
	"time"
)

const (
	loadClients = 8 // half of them with a connection for each request
	loadThink   = 5 * time.Millisecond
)

// load is clients that never stop, and what they have met.
type load struct {
	quit    chan struct{} // closed by stop
	clients sync.WaitGroup

	mu  sync.Mutex
	met met
}

type met struct {
	times   []time.Duration
	failed  int
	failure string // the last; "" for none
}

func (e *edge) startLoad(path string) *load {
	l := &load{quit: make(chan struct{})}
	for i := range loadClients {
		l.clients.Go(func() { l.work(&client{addr: e.http, keepAlive: i%2 == 0}, path) })
	}
	return l
}

func (l *load) work(c *client, path string) {
	defer c.close()
	tick := time.NewTicker(loadThink)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.quit:
			return
		}
		began := time.Now()
		a, err := c.get(path)
		l.count(time.Since(began), a, err)
	}
}

func (l *load) count(took time.Duration, a answer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.met.times = append(l.met.times, took)
	if err != nil || a.status != 200 {
		l.met.failed++
		l.met.failure = fmt.Sprintf("status %d, %v", a.status, err)
	}
}

// stop ends the clients, each behind its request, and returns what they met.
func (l *load) stop() met {
	close(l.quit)
	l.clients.Wait()
	return l.met
}
