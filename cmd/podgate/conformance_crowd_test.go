//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// visit asks for a path as a client of some address does, over a connection of
// its own that may begin with a PROXY header, and returns the status and the
// answer. Lines are headers.
func visit(m *machine, from, addr, proxy, path string, lines ...string) (status int, body string, header http.Header, err error) {
	conn, err := m.dial(from, addr)
	if err != nil {
		return 0, "", nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	text := proxy + "GET " + path + " HTTP/1.1\r\nHost: edge.test\r\nConnection: close\r\n"
	for _, line := range lines {
		text += line + "\r\n"
	}
	if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
		return 0, "", nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), resp.Header, err
}

// crowd are clients that never stop asking the load balancer. Nobody repeats a
// request for them.
type crowd struct {
	client *machine
	addr   string   // host and port
	ask    []string // Services

	sent, failed atomic.Int64
	stop         func()

	mu     sync.Mutex
	causes []string
}

// startCrowd lets clients, every second of which keeps its connection, ask these
// Services in turn.
func (s *edgesStory) startCrowd(t *testing.T, port int, services ...string) *crowd {
	c := &crowd{client: s.network.client, addr: fmt.Sprintf("%s:%d", balancerOutside, port), ask: services}
	done := make(chan struct{})
	var clients sync.WaitGroup
	for i, from := range clientAddrs[:8] {
		clients.Go(func() { c.come(from, i%2 == 0, done) })
	}
	c.stop = sync.OnceFunc(func() {
		close(done)
		clients.Wait()
	})
	t.Cleanup(c.stop)
	s.crowd = c
	return c
}

// between is how long a client waits between two requests.
const between = 5 * time.Millisecond

// longest is more than any request of theirs takes.
const longest = 500 * time.Millisecond

func (c *crowd) come(from string, keep bool, done chan struct{}) {
	var conn net.Conn
	var reader *bufio.Reader
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	tick := time.NewTicker(between)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		service := c.ask[n%len(c.ask)]
		path := "/" + service + "/"
		if n%25 == 24 {
			path += "?ms=100" // so that something is under way whenever something ends
		}
		c.sent.Add(1)
		err := func() (err error) {
			if conn == nil {
				if conn, err = c.client.dial(from, c.addr); err != nil {
					conn = nil
					return err
				}
				reader = bufio.NewReader(conn)
			}
			again, err := exchange(conn, reader, path, service, keep)
			if err != nil || !again {
				conn.Close()
				conn = nil
			}
			return err
		}()
		if err != nil {
			c.failed.Add(1)
			c.mu.Lock()
			c.causes = append(c.causes, fmt.Sprintf("%s %s %s: %v", time.Now().Format("15:04:05.000"), from, path, err))
			c.mu.Unlock()
		}
	}
}

// exchange sends one request and wants the answer of a pod of the Service. It
// reports whether the connection may be used again.
func exchange(conn net.Conn, reader *bufio.Reader, path, service string, keep bool) (bool, error) {
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	text := "GET " + path + " HTTP/1.1\r\nHost: edge.test\r\n"
	if !keep {
		text += "Connection: close\r\n"
	}
	if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return false, err
	case resp.StatusCode != http.StatusOK:
		return false, httpError(resp.StatusCode)
	case !strings.HasPrefix(string(body), service+"-"):
		return false, fmt.Errorf("answered by %q", body)
	}
	return keep && !resp.Close, nil
}

// told is how many requests have failed, and the first of them in words.
func (c *crowd) told() (int64, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed.Load(), strings.Join(c.causes[:min(10, len(c.causes))], "\n")
}
