// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// mostConnections is how many connections each listener has. Every local user can
	// connect to the status page, and what they leave open must not use up the file
	// descriptors that podgate needs for HAProxy and for the API server.
	mostConnections = 32
	// mostAnswers is how many answers are computed at a time: they share the CPU with the
	// loop, and explain also connects to HAProxy, which accepts 10 connections there.
	mostAnswers = 4
)

// connections are the open connections of one listener. If there are too many, the oldest
// is closed, first one that has no request: an operator's is the newest.
type connections struct {
	count *atomic.Int64 // of all listeners

	mu   sync.Mutex
	open map[net.Conn]*connection
}

type connection struct {
	since  time.Time
	active bool // a request is being received or answered
}

// changed is an http.Server's ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open[conn] = &connection{since: time.Now()}
		c.count.Add(1)
		if len(c.open) > mostConnections {
			c.closeOldest(conn)
		}
	case http.StateActive, http.StateIdle:
		if o := c.open[conn]; o != nil {
			o.active = state == http.StateActive
		}
	default:
		c.forget(conn)
	}
}

func (c *connections) forget(conn net.Conn) {
	if c.open[conn] != nil {
		delete(c.open, conn)
		c.count.Add(-1)
	}
}

// closeOldest closes one connection other than except.
func (c *connections) closeOldest(except net.Conn) {
	var oldest net.Conn
	for conn, o := range c.open {
		if conn == except {
			continue
		}
		if best := c.open[oldest]; best == nil || !o.active && best.active || o.active == best.active && o.since.Before(best.since) {
			oldest = conn
		}
	}
	c.forget(oldest)
	oldest.Close()
}

// limitAnswers computes at most mostAnswers answers at a time. An answer is sent when it
// is complete, so that a client that does not read it delays no other.
func limitAnswers(handler http.Handler) http.Handler {
	slots := make(chan struct{}, mostAnswers)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{header: w.Header(), code: http.StatusOK}
		select {
		case slots <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		func() {
			defer func() { <-slots }()
			handler.ServeHTTP(a, r)
		}()
		w.WriteHeader(a.code)
		_, _ = w.Write(a.body.Bytes()) // the client may be gone
	})
}

// answer is a response in memory.
type answer struct {
	header http.Header
	code   int
	wrote  bool
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

// WriteHeader keeps the first code.
func (a *answer) WriteHeader(code int) {
	if !a.wrote {
		a.code, a.wrote = code, true
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.wrote = true
	return a.body.Write(b)
}
