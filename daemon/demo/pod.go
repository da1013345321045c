// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// podPort is the port that a pod listens on, where its address has it free.
const podPort = 8080

// serviceHeader names, in an answer, the Service that the pod belongs to.
const serviceHeader = "Demo-Service"

// pod is an HTTP server at an address of its own.
type pod struct {
	name    string
	service kind
	addr    netip.AddrPort
	server  *http.Server
	served  chan struct{} // closed when server has ended

	mu     sync.Mutex
	active int       // requests
	last   time.Time // when the last request ended
}

// startPod returns a pod that listens.
func startPod(name string, service kind, ip netip.Addr) (*pod, error) {
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, podPort)))
	if err != nil {
		// Somebody has the port on all addresses.
		listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	}
	if err != nil {
		return nil, fmt.Errorf("start pod %s: %w", name, err)
	}
	p := &pod{
		name:    name,
		service: service,
		addr:    listener.Addr().(*net.TCPAddr).AddrPort(),
		served:  make(chan struct{}),
	}
	p.server = &http.Server{
		Handler:  p,
		ErrorLog: log.New(io.Discard, "", 0), // clients that went away
	}
	go func() {
		defer close(p.served)
		_ = p.server.Serve(listener) // http.ErrServerClosed
	}()
	return p, nil
}

// ServeHTTP says who answers, and what podgate had to do with it.
func (p *pod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.begin()
	defer p.end()
	if !pause(r.Context(), work()) {
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set(serviceHeader, p.service.name)
	fmt.Fprintf(w, "Service  %s/%s\nPod      %s at %s\nPath     %s\npodgate  %s\n",
		namespace, p.service.name, p.name, p.addr, r.URL.Path, p.service.did)
}

// work returns how long a request takes: most no time, some up to 300 ms, so
// that pods that leave have requests to finish.
func work() time.Duration {
	if rand.IntN(50) > 0 {
		return 0
	}
	return 50*time.Millisecond + rand.N(250*time.Millisecond)
}

func (p *pod) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active++
}

func (p *pod) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active--
	p.last = time.Now()
}

// quiet returns how long no request has run, counted from since at the most.
func (p *pod) quiet(since time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.active > 0 {
		return 0
	}
	if p.last.After(since) {
		since = p.last
	}
	return time.Since(since)
}

// leave shuts the pod down when no request has run for grace. When ctx ends
// before that, the pod goes on.
func (p *pod) leave(ctx context.Context, grace time.Duration) {
	since := time.Now()
	for p.quiet(since) < grace {
		if !pause(ctx, 20*time.Millisecond) {
			return
		}
	}
	if p.server.Shutdown(ctx) == nil {
		<-p.served
	}
}

// close ends the pod at once, with what it is doing.
func (p *pod) close() {
	_ = p.server.Close() // errors are of connections that were going away anyway
	<-p.served
}

// pause reports whether d passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
