// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// loadConnections are enough to keep HAProxy busy all the time.
	loadConnections = 16
	// loadTimeout bounds the exchanges of one load.
	loadTimeout = time.Minute
)

const (
	endOfHead = "\r\n\r\n"
	podBody   = "ok\n"
	podAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 3" + endOfHead + podBody
)

// plainPods are pods at all addresses of 127.0.0.0/8 that answer every request without
// parsing it: requests have no body. They cost little processor time, unlike
// edgetest.Pods.
type plainPods struct {
	port     uint16
	listener net.Listener
}

func startPlainPods() (*plainPods, error) {
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	p := &plainPods{uint16(listener.Addr().(*net.TCPAddr).Port), listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			go answerRequests(conn)
		}
	}()
	return p, nil
}

// close lets the connections end when HAProxy does.
func (p *plainPods) close() { _ = p.listener.Close() }

// answerRequests answers one request after the other until the client closes the
// connection.
func answerRequests(conn net.Conn) {
	defer conn.Close()
	buffer, filled := make([]byte, 16<<10), 0
	for {
		n, err := conn.Read(buffer[filled:])
		if err != nil {
			return
		}
		if filled += n; !bytes.HasSuffix(buffer[:filled], []byte(endOfHead)) {
			continue
		}
		filled = 0
		if _, err := io.WriteString(conn, podAnswer); err != nil {
			return
		}
	}
}

// load sends n requests over loadConnections connections that are kept open, each
// connection one request at a time and all requests in turn, and expects the status 200.
// It returns the time of the requests; the connections were open before.
func load(ctx context.Context, addr netip.AddrPort, config *tls.Config, requests [][]byte, n int) (time.Duration, error) {
	conns := make([]net.Conn, loadConnections)
	for i := range conns {
		conn, err := dialLoad(ctx, addr, config)
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		conns[i] = conn
		if err := exchange(conn, requests[i%len(requests)], make([]byte, 4<<10)); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	errs := make([]error, len(conns))
	var running sync.WaitGroup
	for i, conn := range conns {
		running.Go(func() {
			buffer := make([]byte, 4<<10)
			for j := i; j < n && errs[i] == nil; j += len(conns) {
				errs[i] = exchange(conn, requests[j%len(requests)], buffer)
			}
		})
	}
	running.Wait()
	return time.Since(began), errors.Join(errs...)
}

func dialLoad(ctx context.Context, addr netip.AddrPort, config *tls.Config) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(loadTimeout)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if config == nil {
		return conn, nil
	}
	return tls.Client(conn, config), nil
}

// exchange sends a request and reads the answer of one of the plainPods.
func exchange(conn net.Conn, request, buffer []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	for filled := 0; ; {
		n, err := conn.Read(buffer[filled:])
		if err != nil {
			return fmt.Errorf("%q to %q: %w", buffer[:filled], request, err)
		}
		filled += n
		if ok := []byte("HTTP/1.1 200 "); !bytes.HasPrefix(buffer[:filled], ok[:min(filled, len(ok))]) {
			return fmt.Errorf("%q to %q", buffer[:filled], request)
		}
		if bytes.HasSuffix(buffer[:filled], []byte(endOfHead+podBody)) {
			return nil
		}
	}
}
