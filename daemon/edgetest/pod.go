// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Headers of a pod's answer.
const (
	PodHeader     = "Pod"      // name of the pod
	ServiceHeader = "Service"  // its Service
	pathHeader    = "Pod-Path" // the path that the pod received
	readHeader    = "Pod-Read" // how many bytes of the request's body it read
)

// PodOptions describe a pod. The zero value is a pod without a name that serves
// plain HTTP at a new address.
type PodOptions struct {
	Name        string
	Service     string             // "" is Name without its last part: "cart" for "cart-0" and for "cart"
	Addr        netip.Addr         // invalid: any of 127.1.0.0 to 127.63.255.255
	Port        uint16             // zero, or a port that is in use: any free one
	Certificate []byte             // certificate and key in PEM: the pod serves TLS
	Body        string             // of its answers; "" is "NAME PATH"
	Configure   func(*http.Server) // is called before the server starts; nil for none
}

// Pod is an HTTP server at an address of its own. It answers each request with its name and
// Service. The query can set a delay (sleep=100ms) and the size of the answer
// (size=200000). Upgrade: echo turns the connection into an echo of each line. Its methods
// may be called concurrently.
type Pod struct {
	Name, Service string
	Addr          netip.AddrPort

	body   string
	server *http.Server
	served chan struct{} // closed when server has ended

	mu     sync.Mutex
	active int // requests that run
	count  int // requests that ended
	last   time.Time
}

// StartPod returns a pod that listens, until Close.
func StartPod(o PodOptions) (*Pod, error) {
	listener, err := o.listen()
	if err != nil {
		return nil, fmt.Errorf("start pod %s: %w", o.Name, err)
	}
	if o.Service == "" {
		o.Service = o.Name
		if i := strings.LastIndexByte(o.Name, '-'); i > 0 {
			o.Service = o.Name[:i]
		}
	}
	p := &Pod{Name: o.Name, Service: o.Service, Addr: addrOf(listener), body: o.Body, served: make(chan struct{})}
	p.server = &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)} // it would log clients that closed their connections
	if o.Certificate != nil {
		pair, err := tls.X509KeyPair(o.Certificate, o.Certificate)
		if err != nil {
			return nil, fmt.Errorf("start pod %s: %w", o.Name, err)
		}
		p.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	if o.Configure != nil {
		o.Configure(p.server)
	}
	go func() {
		defer close(p.served)
		if o.Certificate != nil {
			_ = p.server.ServeTLS(listener, "", "") // http.ErrServerClosed
		} else {
			_ = p.server.Serve(listener)
		}
	}()
	return p, nil
}

func (o PodOptions) listen() (net.Listener, error) {
	if !o.Addr.IsValid() {
		return ListenAsPod(o.Port)
	}
	return net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(o.Addr, o.Port)))
}

// ListenAsPod listens at an address that most likely no other pod has, on that
// port if it is free there.
func ListenAsPod(port uint16) (net.Listener, error) {
	addr := netip.AddrFrom4([4]byte{127, byte(1 + rand.N(63)), byte(rand.N(256)), byte(1 + rand.N(254))})
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
	if err != nil && port != 0 { // another server has the port on all addresses
		listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	}
	return listener, err
}

func addrOf(l net.Listener) netip.AddrPort { return l.Addr().(*net.TCPAddr).AddrPort() }

func (p *Pod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.begin()
	defer p.end()
	if r.Header.Get("Upgrade") == "echo" {
		echo(w)
		return
	}
	body := p.body
	if body == "" {
		body = p.Name + " " + r.URL.Path + "\n"
	}
	answer(w, r, p.Name, p.Service, body)
}

// answer writes the answer of every pod. The size in the query replaces the body.
func answer(w http.ResponseWriter, r *http.Request, pod, service, body string) {
	read, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return // the client closed the connection
	}
	query := r.URL.Query()
	if d, err := time.ParseDuration(query.Get("sleep")); err == nil && !Pause(r.Context(), d) {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set(PodHeader, pod)
	h.Set(ServiceHeader, service)
	h.Set(pathHeader, r.URL.Path)
	h.Set(readHeader, strconv.FormatInt(read, 10))
	if size, err := strconv.Atoi(query.Get("size")); err == nil {
		body = strings.Repeat("x", size)
	}
	_, _ = io.WriteString(w, body) // the client may have closed the connection
}

// echo answers each line with itself until the client closes the connection.
func echo(w http.ResponseWriter) {
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_, _ = io.Copy(conn, stream)
}

func (p *Pod) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active++
}

func (p *Pod) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active--
	p.count++
	p.last = time.Now()
}

// Active returns how many requests run.
func (p *Pod) Active() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.active
}

// Served returns how many requests have ended.
func (p *Pod) Served() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// quiet returns for how long no request has run, from since on.
func (p *Pod) quiet(since time.Time) time.Duration {
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

// Leave shuts the pod down once no request has run for grace. If ctx ends before
// that, the pod keeps running.
func (p *Pod) Leave(ctx context.Context, grace time.Duration) {
	if p.awaitQuiet(ctx, grace) && p.server.Shutdown(ctx) == nil {
		<-p.served
	}
}

// awaitQuiet waits until no request has run for grace, and reports whether that was
// before ctx ended.
func (p *Pod) awaitQuiet(ctx context.Context, grace time.Duration) bool {
	for since := time.Now(); p.quiet(since) < grace; {
		if !Pause(ctx, 20*time.Millisecond) {
			return false
		}
	}
	return true
}

// Close ends the pod immediately, with the requests that run. It may be called
// again.
func (p *Pod) Close() {
	_ = p.server.Close() // of connections that were about to end
	<-p.served
}

// Pause waits, and reports whether d passed before ctx ended.
func Pause(ctx context.Context, d time.Duration) bool {
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
