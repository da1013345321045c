// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// requestTimeout bounds one request, from its connection to the end of its
// answer.
const requestTimeout = 10 * time.Second

// Request is one HTTP/1.1 request.
type Request struct {
	Addr   netip.AddrPort // of HAProxy
	TLS    *tls.Config    // nil for plain HTTP
	Host   string         // "" is Addr
	Path   string         // with its query
	Header string         // more lines, each with its \r\n
	Body   int            // how many bytes are sent by POST; zero is a GET
}

// String returns the method and the URL.
func (r Request) String() string {
	method, scheme := http.MethodGet, "http"
	if r.Body > 0 {
		method = http.MethodPost
	}
	if r.TLS != nil {
		scheme = "https"
	}
	return method + " " + scheme + "://" + r.host() + r.Path
}

func (r Request) host() string {
	if r.Host != "" {
		return r.Host
	}
	return r.Addr.String()
}

// Answer is an answer that came whole.
type Answer struct {
	Status int
	Header http.Header
	Size   int64 // of the body
}

// Client is one client. It sends every request exactly once, over connections of
// its own: http.Transport would silently repeat a request on a new connection if
// the old one was closed under it. It is used by one goroutine.
type Client struct {
	KeepAlive bool // one connection for as long as HAProxy keeps it; else one for each request

	conn   net.Conn // nil: none is open
	reader *bufio.Reader
	addr   netip.AddrPort // where conn leads to
	opened time.Time      // when conn was
}

// Do sends one request and reads its answer to the end, whatever its status.
func (c *Client) Do(r Request) (Answer, error) {
	a, err := c.exchange(r)
	if err != nil || !c.KeepAlive {
		c.Close()
	}
	return a, err
}

func (c *Client) exchange(r Request) (Answer, error) {
	if c.addr != r.Addr {
		c.Close()
	}
	if c.conn == nil {
		if err := c.open(r); err != nil {
			return Answer{}, err
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return Answer{}, err
	}
	if _, err := io.WriteString(c.conn, r.text(c.KeepAlive)); err != nil {
		return Answer{}, err
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	size, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return Answer{}, err
	}
	if resp.Close {
		c.Close()
	}
	return Answer{resp.StatusCode, resp.Header, size}, nil
}

func (c *Client) open(r Request) error {
	conn, err := net.DialTimeout("tcp", r.Addr.String(), requestTimeout)
	if err != nil {
		return err
	}
	if r.TLS != nil {
		conn = tls.Client(conn, r.TLS)
	}
	c.conn, c.reader, c.addr, c.opened = conn, bufio.NewReader(conn), r.Addr, time.Now()
	return nil
}

// text is the request as it is sent.
func (r Request) text(keepAlive bool) string {
	connection := "keep-alive"
	if !keepAlive {
		connection = "close"
	}
	const head = "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n%s"
	if r.Body == 0 {
		return fmt.Sprintf(head+"\r\n", http.MethodGet, r.Path, r.host(), connection, r.Header)
	}
	return fmt.Sprintf(head+"Content-Length: %d\r\n\r\n", http.MethodPost, r.Path, r.host(), connection, r.Header, r.Body) + strings.Repeat("x", r.Body)
}

// Until sends a request again and again, with pauses between, until an answer is
// right. When ctx ends it returns what was wrong with the last one.
func (c *Client) Until(ctx context.Context, r Request, between time.Duration, right func(Answer) bool) error {
	for {
		a, err := c.Do(r)
		if err == nil && right(a) {
			return nil
		}
		if !Pause(ctx, between) {
			if err == nil {
				err = fmt.Errorf("status %d from pod %q", a.Status, a.Header.Get(PodHeader))
			}
			return fmt.Errorf("%s: %w", r, errors.Join(context.Cause(ctx), err))
		}
	}
}

// Close closes the connection, if one is open. The client opens another one for
// its next request.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
