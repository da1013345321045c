//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// httpPort is where HAProxy serves the HTTP frontend.
const httpPort = 8000

// stickyCookie is podgate's default name of it.
const stickyCookie = "SERVERID"

// client is one client of HAProxy. It speaks over its own connection instead of
// net/http's Transport, which repeats a request on a new connection when the old
// one was closed under it: exactly what has to be seen here.
type client struct {
	kind    string
	conn    net.Conn // nil: none is open
	reader  *bufio.Reader
	port    int       // that conn leads to
	opened  time.Time // when conn was
	left    int       // lines that the TCP connection is still used for
	cookies map[string]string
	pods    map[string]string // who answered last, by target
	last    string            // the request in words
}

func newClient(kind string) *client {
	return &client{kind: kind, cookies: map[string]string{}, pods: map[string]string{}}
}

// close ends the connection, if one is open.
func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// held returns the pod that the client is to stay with, "" for none.
func (c *client) held(t *target) string {
	if !t.sticky || c.cookies[t.service] == "" {
		return ""
	}
	return c.pods[t.service]
}

// ask sends one request that takes work on the server and judges the answer.
// Everything but a complete answer from the right Service is an error.
func (c *client) ask(t *target, id int64, work time.Duration) error {
	var err error
	if t.port != 0 {
		err = c.askLine(t, id)
	} else {
		err = c.askHTTP(t, id, work)
	}
	if err != nil {
		c.close()
	}
	return err
}

// open connects, unless there is a connection already, and gives the request its
// time. A connection that was there before the Service was is not used for it: a
// connection stays with the HAProxy worker that accepted it, and a worker that a
// reload has replaced knows nothing of Services that came later.
func (c *client) open(t *target, port int) error {
	if c.port != port || c.opened.Before(t.since) {
		c.close()
	}
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), 5*time.Second)
		if err != nil {
			return err
		}
		c.conn, c.reader, c.port, c.opened = conn, bufio.NewReader(conn), port, time.Now()
		c.left = 1 + rand.IntN(20)
	}
	return c.conn.SetDeadline(time.Now().Add(10 * time.Second))
}

func (c *client) askHTTP(t *target, id int64, work time.Duration) error {
	size := 200
	if id%100 == 0 {
		size = 200_000 // more than all buffers hold
	}
	query := url.Values{"id": {strconv.FormatInt(id, 10)}, "size": {strconv.Itoa(size)}}
	if work > 0 {
		query.Set("ms", strconv.FormatInt(work.Milliseconds(), 10))
	}
	method, sent := http.MethodGet, 0
	if id%10 == 0 {
		method, sent = http.MethodPost, 2000
	}
	req, err := http.NewRequest(method, "http://"+t.host+t.path+"/work?"+query.Encode(), bytes.NewReader(make([]byte, sent)))
	if err != nil {
		return err
	}
	req.Close = c.kind == short
	if t.sticky {
		if cookie := c.cookies[t.service]; cookie != "" {
			req.AddCookie(&http.Cookie{Name: stickyCookie, Value: cookie})
		}
	}
	c.last = method + " " + req.URL.String()

	if err := c.open(t, httpPort); err != nil {
		return err
	}
	if err := req.Write(c.conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.reader, req)
	if err != nil {
		return err
	}
	read, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err
	}
	if resp.Close || req.Close {
		c.close()
	}

	path := t.path + "/work"
	if t.strip {
		path = "/work"
	}
	header := resp.Header
	switch {
	case resp.StatusCode != http.StatusOK:
		return httpError(resp.StatusCode)
	case header.Get("Pod-Service") != t.service:
		return fmt.Errorf("answered by Service %q", header.Get("Pod-Service"))
	case header.Get("Pod-Path") != path:
		return fmt.Errorf("the pod saw path %q instead of %q", header.Get("Pod-Path"), path)
	case header.Get("Pod-Read") != strconv.Itoa(sent):
		return fmt.Errorf("the pod read %q of %d bytes", header.Get("Pod-Read"), sent)
	case read != int64(size):
		return fmt.Errorf("the answer has %d of %d bytes", read, size)
	}
	c.pods[t.service] = header.Get("Pod-Name")
	for _, cookie := range resp.Cookies() {
		if cookie.Name == stickyCookie {
			c.cookies[t.service] = cookie.Value
		}
	}
	return nil
}

// httpError is a status that is not 200.
type httpError int

func (e httpError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// status returns the HTTP status that an answer had, zero where there was none.
func status(err error) int {
	var code httpError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &code):
		return int(code)
	}
	return 0
}

func (c *client) askLine(t *target, id int64) error {
	line := fmt.Sprintf("line %d", id)
	c.last = fmt.Sprintf("port %d %s", t.port, line)
	if err := c.open(t, t.port); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.conn, line); err != nil {
		return err
	}
	answer, err := c.reader.ReadString('\n')
	if err != nil {
		return err
	}
	service, rest, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), " ")
	pod, echo, _ := strings.Cut(rest, " ")
	if service != t.service || echo != line {
		return fmt.Errorf("answer %q", answer)
	}
	c.pods[t.service] = pod
	if c.left--; c.left <= 0 || c.kind == short {
		c.close()
	}
	return nil
}
