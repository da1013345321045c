// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"net"
	"strings"
	"sync"
)

// Proxy forwards connections to a server, and may drop all data like a firewall that has
// lost its connections. The zero value is not usable; see RunProxy.
type Proxy struct {
	listener net.Listener
	backend  string
	running  sync.WaitGroup

	mu     sync.Mutex
	frozen bool
	thawed *sync.Cond
	closed bool
	conns  []net.Conn
}

// RunProxy runs a Proxy of the server at url until the test ends.
func RunProxy(t TB, url string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(url, "://")
	p := &Proxy{listener: listener, backend: address}
	p.thawed = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr returns the host and port for a client.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Freeze holds back all data from now on, on existing and new connections: nothing
// arrives, and no connection ends.
func (p *Proxy) Freeze() { p.set(true) }

// Thaw forwards again, beginning with the data that was held back.
func (p *Proxy) Thaw() { p.set(false) }

func (p *Proxy) set(frozen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = frozen
	p.thawed.Broadcast()
}

func (p *Proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for _, conn := range p.conns {
		conn.Close()
	}
	p.thawed.Broadcast()
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.connect(client) })
	}
}

func (p *Proxy) connect(client net.Conn) {
	server, err := net.Dial("tcp", p.backend)
	if err != nil {
		client.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	closed := p.closed
	p.mu.Unlock()
	if closed {
		client.Close()
		server.Close()
		return
	}
	p.running.Go(func() { p.copy(server, client) })
	p.copy(client, server)
}

// copy forwards bytes while the Proxy is not frozen.
func (p *Proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.frozen && !p.closed {
			p.thawed.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
