// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// mode is how a proxy treats connections.
type mode struct {
	refuse  bool          // closed at once
	swallow bool          // nothing comes back, and the connection stays open for as long as the client waits
	after   int           // closed after so many bytes of the answer; zero for never
	pace    time.Duration // between pieces of 100 bytes of the answer; zero for as they come
}

// proxy stands before a server and does harm to what goes through.
type proxy struct {
	listener net.Listener
	network  string
	backend  string
	mode     atomic.Pointer[mode]
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
}

func startProxy(network, addr, backendNetwork, backend string) (*proxy, error) {
	listener, err := net.Listen(network, addr)
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, network: backendNetwork, backend: backend, conns: map[net.Conn]bool{}}
	p.mode.Store(&mode{})
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// set changes how new connections, and those that are there, are treated.
func (p *proxy) set(m mode) {
	p.mode.Store(&m)
	if m.refuse {
		p.cut()
	}
}

// cut closes every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.cut()
	p.running.Wait()
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.mode.Load().refuse || !p.keep(conn) {
			_ = conn.Close()
			continue
		}
		p.running.Go(func() { p.serve(conn) })
	}
}

func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.conns[conn] = true
	}
	return !p.closed
}

func (p *proxy) forget(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

func (p *proxy) serve(conn net.Conn) {
	defer p.forget(conn)
	backend, err := net.Dial(p.network, p.backend)
	if err != nil {
		return
	}
	if !p.keep(backend) {
		_ = backend.Close()
		return
	}
	defer p.forget(backend)
	gone := make(chan struct{}) // closed when the client says nothing more
	go func() {
		defer close(gone)
		_ = p.copy(backend, conn, false)
		if half, ok := backend.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	if p.copy(conn, backend, true) {
		<-gone
	}
	_ = conn.Close()
	<-gone
}

// copy passes bytes on until either side ends, or harm does. It reports whether
// any were swallowed: then nothing more comes, or an answer would have a hole.
func (p *proxy) copy(to, from net.Conn, answer bool) (swallowed bool) {
	sent := 0
	buffer := make([]byte, 16<<10)
	for {
		size := len(buffer)
		if m := p.mode.Load(); answer && m.pace > 0 {
			size = 100
			time.Sleep(m.pace) // on purpose: a slow line
		}
		n, err := from.Read(buffer[:size])
		m := p.mode.Load()
		if answer && m.swallow {
			_, _ = io.Copy(io.Discard, from)
			return true
		}
		if answer && m.after > 0 && sent+n >= m.after {
			_, _ = to.Write(buffer[:max(0, min(n, m.after-sent))])
			return false
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return false
			}
			sent += n
		}
		if err != nil {
			return false
		}
	}
}
