// SPDX-License-Identifier: Apache-2.0

// Package kubeapitest is a fake API server. It has Services, EndpointSlices, Nodes and
// TLS Secrets, lists and watches them over HTTP like kube-apiserver, and misbehaves on
// demand.
//
// It checks no schema and stores nothing on disk.
package kubeapitest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"

	"podgate/kubeapi"
)

// Server is an API server. The zero value is not usable; see New. All methods
// may be called concurrently, and objects may be changed while it is stopped.
type Server struct {
	secrets map[kubeapi.Key]kubeapi.Secret // guarded by mu; nil without any

	mu      sync.Mutex
	objects map[objectKey]*object
	version int           // resourceVersion of the last change
	history []change      // oldest first
	window  int           // how many changes of the history are kept
	oldest  int           // a watch from an older version is 410
	pages   map[int]*page // rests of lists, by continue token
	page    int           // the last continue token
	changed chan struct{} // closed, and replaced, when anything changed
	release release
	faults  faults
	signals []signal // to running watches, in order
	lists   int
	watches int
	running int            // watches
	hidden  map[string]int // lists that Hide made empty, by resource

	addr    string
	port    *port // of addr, if Start chose it
	scheme  string
	http    *http.Server
	served  chan struct{} // closed when http has ended
	cert    *tls.Certificate
	certPEM []byte
}

// New returns a server without objects that is not started.
func New() *Server {
	return &Server{
		objects: make(map[objectKey]*object),
		version: 1000,
		oldest:  1000,
		window:  10000,
		pages:   make(map[int]*page),
		changed: make(chan struct{}),
		hidden:  make(map[string]int),
	}
}

// TB is the part of testing.TB that this package needs. podgate demo, which uses a
// Server, does not link package testing.
type TB interface {
	Helper()
	Cleanup(func())
	Fatal(args ...any)
}

// Run returns a server that serves plain HTTP on a free port until the test
// ends.
func Run(t TB) *Server {
	t.Helper()
	s := New()
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Start serves plain HTTP on addr, such as 127.0.0.1:0. With "" that is the
// address it had before it was stopped, or a free port of 127.0.0.1.
func (s *Server) Start(addr string) error { return s.start(addr, "http") }

// StartTLS is Start with TLS and HTTP/2. The certificate is self-signed, for
// 127.0.0.1, ::1 and localhost; see CertificatePEM.
func (s *Server) StartTLS(addr string) error {
	if err := s.makeCertificate(); err != nil {
		return err
	}
	return s.start(addr, "https")
}

func (s *Server) start(addr, scheme string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		return errors.New("start API server: it is running")
	}
	listener, err := s.listen(addr)
	if err != nil {
		return fmt.Errorf("start API server: %v", err)
	}
	s.addr, s.scheme = listener.Addr().String(), scheme
	s.http = &http.Server{
		Handler:  s,
		ErrorLog: log.New(io.Discard, "", 0), // of clients that do not trust the certificate, and of watches that were cut
	}
	if scheme == "https" {
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*s.cert}, MinVersion: tls.VersionTLS12}
	}
	s.served = make(chan struct{})
	go serve(s.http, listener, s.served)
	return nil
}

// listen listens on addr, see Start.
func (s *Server) listen(addr string) (net.Listener, error) {
	switch {
	case addr != "":
		return net.Listen("tcp", addr)
	case s.addr != "" && s.port == nil:
		return net.Listen("tcp", s.addr)
	case s.port == nil:
		port, err := newPort()
		if err != nil {
			return nil, err
		}
		s.port = port
	}
	return s.port.listen()
}

// serve closes done when the server was closed.
func serve(server *http.Server, listener net.Listener, done chan<- struct{}) {
	defer close(done)
	if server.TLSConfig != nil {
		_ = server.ServeTLS(listener, "", "") // http.ErrServerClosed
		return
	}
	_ = server.Serve(listener) // http.ErrServerClosed
}

// Stop closes the port and every connection. The objects stay, for the next Start.
// Stopping a stopped server does nothing.
func (s *Server) Stop() {
	s.mu.Lock()
	server, served := s.http, s.served
	s.http = nil
	s.mu.Unlock()
	if server == nil {
		return
	}
	_ = server.Close() // an error does not matter: the connections are closed
	<-served
}

// URL returns the address for a kubeconfig, "" before the first Start.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == "" {
		return ""
	}
	return s.scheme + "://" + s.addr
}

// Lists returns the number of requests for a list, or a page of one, also of those that
// failed.
func (s *Server) Lists() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists
}

// Watches returns the number of requests for a watch, also of those that failed.
func (s *Server) Watches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches
}

// Hidden returns the number of lists of a resource that Hide made empty.
func (s *Server) Hidden(resource string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hidden[resource]
}

// Watching returns the number of running watches.
func (s *Server) Watching() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if s.serveSecret(w, req) {
		return
	}
	r, err := parseRequest(req)
	if s.cannot().onlyJSON {
		r.protobuf = false
	}
	if err != nil {
		writeStatus(w, r, http.StatusNotFound, "NotFound", err.Error())
		return
	}
	s.count(r)
	if s.misbehave(req.Context(), w, req, r) {
		return
	}
	if r.watch {
		s.serveWatch(w, req, r)
		return
	}
	s.serveList(w, r)
}

func (s *Server) count(r request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.watch {
		s.watches++
	} else {
		s.lists++
	}
}

// announce wakes all callers of waitFor. The caller holds s.mu.
func (s *Server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// waitFor blocks until ready returns true or ctx ends. It calls ready with s.mu held,
// after every change.
func (s *Server) waitFor(ctx context.Context, ready func() bool) error {
	for {
		s.mu.Lock()
		ok, changed := ready(), s.changed
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
