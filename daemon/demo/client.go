// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// requestTimeout bounds one request, from its connection to the end of its
// answer.
const requestTimeout = 5 * time.Second

// client is one client of HAProxy. It speaks over its own connection and not by
// http.Transport, which would repeat a request, unseen, on a new connection
// when the old one was closed under it.
type client struct {
	keepAlive bool                    // one connection as long as HAProxy keeps it; else one for each request
	cookies   map[string]*http.Cookie // by Service

	conn   net.Conn // nil: none is open
	reader *bufio.Reader
	addr   netip.AddrPort // where conn leads to
	opened time.Time      // when conn was
}

// ask sends one request. Everything but a complete answer of 200 by the right
// Service is an error.
func (c *client) ask(t *target) error {
	keep := c.keepAlive && t.kind.port == 0
	if !keep || c.addr != t.addr || c.opened.Before(t.since) {
		// A connection stays with the HAProxy process that accepted it, and one
		// that a reload has replaced knows no Service that came later.
		c.close()
	}
	req, err := http.NewRequest(http.MethodGet, t.url(), nil)
	if err != nil {
		return err
	}
	req.Close = !keep
	if cookie := c.cookies[t.kind.name]; cookie != nil {
		req.AddCookie(cookie)
	}
	resp, err := c.send(req, t.addr)
	if err != nil {
		c.close()
		return err
	}
	if resp.Close || req.Close {
		c.close()
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	if name := resp.Header.Get(serviceHeader); name != t.kind.name {
		return fmt.Errorf("answered by Service %q", name)
	}
	for _, cookie := range resp.Cookies() {
		if c.cookies == nil {
			c.cookies = map[string]*http.Cookie{}
		}
		c.cookies[t.kind.name] = cookie
	}
	return nil
}

// send returns the answer to req, its body read to the end.
func (c *client) send(req *http.Request, addr netip.AddrPort) (*http.Response, error) {
	deadline := time.Now().Add(requestTimeout)
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", addr.String(), requestTimeout)
		if err != nil {
			return nil, err
		}
		c.conn, c.reader, c.addr, c.opened = conn, bufio.NewReader(conn), addr, time.Now()
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if err := req.Write(c.conn); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.reader, req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

// close ends the connection, if one is open.
func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
