// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// requestTimeout bounds one request.
const requestTimeout = 5 * time.Second

// client asks one address. It speaks over its own connection and not by
// http.Transport, which would repeat a request, unseen, when a connection was
// closed under it. The zero keepAlive is a connection for each request.
type client struct {
	addr      netip.AddrPort
	keepAlive bool
	host      string // asked for, in TLS; "" for any, in plain HTTP

	conn   net.Conn // nil: none is open
	reader *bufio.Reader
}

// answer is what is looked at of an answer.
type answer struct {
	status int
	pod    string
}

// get sends one request and reads its answer to the end.
func (c *client) get(path string) (answer, error) {
	a, err := c.exchange(path)
	if err != nil || !c.keepAlive {
		c.close()
	}
	return a, err
}

func (c *client) exchange(path string) (answer, error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.addr.String(), requestTimeout)
		if err != nil {
			return answer{}, err
		}
		if c.host != "" {
			conn = tls.Client(conn, &tls.Config{ServerName: c.host, InsecureSkipVerify: true})
		}
		c.conn, c.reader = conn, bufio.NewReader(conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return answer{}, err
	}
	connection := "keep-alive"
	if !c.keepAlive {
		connection = "close"
	}
	if _, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n\r\n", path, cmp.Or(c.host, "edge.test"), connection); err != nil {
		return answer{}, err
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return answer{}, err
	}
	if resp.Close {
		c.close()
	}
	return answer{resp.StatusCode, resp.Header.Get(podHeader)}, nil
}

// until asks again and again, with pauses between, until an answer is right. It
// returns why the last was not when ctx ends.
func (c *client) until(ctx context.Context, path string, between time.Duration, right func(answer) bool) error {
	for {
		a, err := c.get(path)
		if err == nil && right(a) {
			return nil
		}
		if !pause(ctx, between) {
			return fmt.Errorf("GET %s: %w: status %d from pod %q, %v", path, context.Cause(ctx), a.status, a.pod, err)
		}
	}
}

// close ends the connection, if one is open.
func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
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
