// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Mode is how a Proxy treats connections. The zero value passes everything on.
type Mode struct {
	Refuse  bool          // closes connections immediately
	Swallow bool          // answers nothing, and keeps the connection open for as long as the client does
	After   int           // closes a connection after so many bytes of the answer; zero for never
	Pace    time.Duration // waits so long before each 100 bytes of the answer; zero for not at all

	Replace func(text string) string // returns what the server gets instead of a text of the client; nil for the text itself
	Answer  func(text string)        // is called with each part of the answer, by the goroutine of each connection; nil for none
}

// Proxy forwards connections of clients to a server, reports what the clients send, and
// can disturb the connections. Its methods may be called concurrently.
type Proxy struct {
	listener net.Listener
	network  string
	server   string
	heard    func(text string)
	mode     atomic.Pointer[Mode]
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	accepted atomic.Int64
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil after Close
}

// StartProxy listens at addr, until Close, before a server of the same network,
// tcp or unix. Heard is called with what a client sends before the server gets it,
// by the goroutine of each connection; it may be nil.
func StartProxy(network, addr, server string, heard func(text string)) (*Proxy, error) {
	listener, err := net.Listen(network, addr)
	if err != nil {
		return nil, err
	}
	if heard == nil {
		heard = func(string) {}
	}
	p := &Proxy{listener: listener, network: network, server: server, heard: heard, conns: map[net.Conn]bool{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mode.Store(&Mode{})
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns the address that it listens at.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Accepted returns how many connections clients have opened, refused ones included.
func (p *Proxy) Accepted() int { return int(p.accepted.Load()) }

// Set changes how connections are treated, existing ones included.
func (p *Proxy) Set(m Mode) {
	p.mode.Store(&m)
	if m.Refuse {
		p.Cut()
	}
}

// Cut closes every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Close ends the Proxy and every connection.
func (p *Proxy) Close() {
	p.cancel()
	_ = p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.accepted.Add(1)
		if p.mode.Load().Refuse || !p.keep(conn) {
			_ = conn.Close()
			continue
		}
		p.running.Go(func() { p.serve(conn) })
	}
}

func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns != nil {
		p.conns[conn] = true
	}
	return p.conns != nil
}

func (p *Proxy) forget(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

func (p *Proxy) serve(conn net.Conn) {
	defer p.forget(conn)
	server, err := net.Dial(p.network, p.server)
	if err != nil {
		return
	}
	if !p.keep(server) {
		_ = server.Close()
		return
	}
	defer p.forget(server)
	ended := make(chan struct{}) // closed when the client sends nothing more
	go func() {
		defer close(ended)
		_, _ = io.Copy(hearing{server, p}, conn)
		if half, ok := server.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	if p.answer(conn, server) {
		<-ended
	}
	_ = conn.Close()
	<-ended
}

// hearing calls heard with everything that is written to it, and replaces it.
type hearing struct {
	io.Writer
	p *Proxy
}

func (h hearing) Write(b []byte) (int, error) {
	h.p.heard(string(b))
	text := string(b)
	if replace := h.p.mode.Load().Replace; replace != nil {
		text = replace(text)
	}
	if _, err := io.WriteString(h.Writer, text); err != nil {
		return 0, err
	}
	return len(b), nil
}

// answer forwards the server's bytes until either side or the mode ends the connection. It
// reports whether it swallowed any bytes: it forwards nothing after them, because the
// answer would have a gap.
func (p *Proxy) answer(client, server net.Conn) (swallowed bool) {
	sent := 0
	buffer := make([]byte, 16<<10)
	for {
		size := len(buffer)
		if m := p.mode.Load(); m.Pace > 0 {
			size = 100
			Pause(p.ctx, m.Pace)
		}
		n, err := server.Read(buffer[:size])
		m := p.mode.Load()
		if m.Swallow {
			_, _ = io.Copy(io.Discard, server)
			return true
		}
		if m.After > 0 && sent+n >= m.After {
			_, _ = client.Write(buffer[:max(0, min(n, m.After-sent))])
			return false
		}
		if n > 0 {
			if _, err := client.Write(buffer[:n]); err != nil {
				return false
			}
			sent += n
			if m.Answer != nil {
				m.Answer(string(buffer[:n]))
			}
		}
		if err != nil {
			return false
		}
	}
}
