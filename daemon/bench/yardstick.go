// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// yardstickConfig is a frontend and a backend of which podgate knows nothing.
func yardstickConfig(listen netip.AddrPort) []byte {
	return fmt.Appendf(nil, `defaults yardstick-defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s

frontend yardstick-http from yardstick-defaults
  bind %s
  default_backend yardstick

backend yardstick from yardstick-defaults
  balance roundrobin
`, listen)
}

// addServer adds a server to the yardstick as podgate would, and returns how
// long it took to the first 200. The server takes no more then, and is gone where
// HAProxy does not keep its idle connection.
func (e *edge) addServer(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	addr := e.pods.next(1)[0]
	server := "yardstick/" + haproxy.ServerName(addr)
	options := haproxy.Options{Protocol: haproxy.Plain, Check: e.check, CheckInterval: checkInterval}
	c := &client{addr: e.bare, keepAlive: true}
	defer c.close()
	if _, err := c.get("/"); err != nil { // the connection is there already
		return 0, err
	}
	commands := []string{"add server yardstick/" + cfgfile.ServerLine(options, haproxy.Server{Addr: addr})}
	if e.check {
		commands = append(commands, "enable health "+server)
	}
	began := time.Now()
	if _, err := e.command(append(commands, "enable server "+server)...); err != nil {
		return 0, err
	}
	if err := c.until(ctx, "/", 0, func(a answer) bool { return a.status == 200 }); err != nil {
		return 0, err
	}
	took := time.Since(began)
	_, err := e.command("set server "+server+" state maint", "del server "+server)
	return took, err
}

// yardstickPause is between two servers that are added beside something else.
const yardstickPause = 100 * time.Millisecond

// yardstick adds servers beside something else.
type yardstick struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
	times  []time.Duration
	err    error
}

func (e *edge) startYardstick(ctx context.Context) *yardstick {
	ctx, cancel := context.WithCancel(ctx)
	y := &yardstick{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(y.done)
		for pause(ctx, yardstickPause) {
			took, err := e.addServer(context.WithoutCancel(ctx))
			if err != nil {
				y.err = err
				return
			}
			y.times = append(y.times, took)
		}
	}()
	return y
}

// stop ends it and returns how long each server took.
func (y *yardstick) stop() ([]time.Duration, error) {
	y.cancel()
	<-y.done
	return y.times, y.err
}

// command sends commands to HAProxy's stats socket in one line and returns all
// that it answers.
func (e *edge) command(commands ...string) (string, error) {
	conn, err := net.DialTimeout("unix", e.haproxy.Admin, requestTimeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, strings.Join(commands, ";")+"\n"); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(conn)
	return string(reply), err
}
