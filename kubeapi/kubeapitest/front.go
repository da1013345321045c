// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"net"
	"strings"
	"sync"
)

// Front forwards connections to a server, and may drop all data like a firewall that has
// lost its connections. The zero value is not usable; see RunFront.
type Front struct {
	listener net.Listener
	backend  string
	running  sync.WaitGroup

	mu     sync.Mutex
	frozen bool
	thawed *sync.Cond
	closed bool
	conns  []net.Conn
}

// RunFront runs a Front of the server at url until the test ends.
func RunFront(t TB, url string) *Front {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(url, "://")
	f := &Front{listener: listener, backend: address}
	f.thawed = sync.NewCond(&f.mu)
	f.running.Go(f.accept)
	t.Cleanup(f.close)
	return f
}

// Addr returns the host and port for a client.
func (f *Front) Addr() string { return f.listener.Addr().String() }

// Freeze holds back all data from now on, on existing and new connections: nothing
// arrives, and no connection ends.
func (f *Front) Freeze() { f.set(true) }

// Thaw forwards again, beginning with what was held back.
func (f *Front) Thaw() { f.set(false) }

func (f *Front) set(frozen bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = frozen
	f.thawed.Broadcast()
}

func (f *Front) close() {
	f.listener.Close()
	f.mu.Lock()
	f.closed = true
	for _, conn := range f.conns {
		conn.Close()
	}
	f.thawed.Broadcast()
	f.mu.Unlock()
	f.running.Wait()
}

func (f *Front) accept() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return // closed
		}
		f.running.Go(func() { f.connect(client) })
	}
}

func (f *Front) connect(client net.Conn) {
	server, err := net.Dial("tcp", f.backend)
	if err != nil {
		client.Close()
		return
	}
	f.mu.Lock()
	f.conns = append(f.conns, client, server)
	closed := f.closed
	f.mu.Unlock()
	if closed {
		client.Close()
		server.Close()
		return
	}
	f.running.Go(func() { f.copy(server, client) })
	f.copy(client, server)
}

// copy forwards bytes while the front is not frozen.
func (f *Front) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		f.mu.Lock()
		for f.frozen && !f.closed {
			f.thawed.Wait()
		}
		f.mu.Unlock()
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
