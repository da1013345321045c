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

	"podgate/daemon/edgetest"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// yardstickConfig returns a frontend and a backend that podgate does not manage.
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

// addServer adds a server to the yardstick as podgate would, and returns the time until
// the first 200. It then puts the server into maint, and deletes it if HAProxy has closed
// its idle connection.
func (e *edge) addServer(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	addr := e.shop.pods.Next("yardstick", 1)[0]
	server := "yardstick/" + haproxy.ServerName(addr)
	options := haproxy.Options{Protocol: haproxy.Plain, Check: e.check, CheckInterval: checkInterval}
	c, request := &edgetest.Client{KeepAlive: true}, edgetest.Request{Addr: e.bare, Host: "edge.test", Path: "/"}
	defer c.Close()
	if _, err := c.Do(request); err != nil { // opens the connection
		return 0, err
	}
	commands := []string{"add server yardstick/" + cfgfile.ServerLine(options, haproxy.Server{Addr: addr}, haproxy.ServerID(addr, 0))}
	if e.check {
		commands = append(commands, "enable health "+server)
	}
	began := time.Now()
	if _, err := e.command(append(commands, "enable server "+server)...); err != nil {
		return 0, err
	}
	if err := c.Until(ctx, request, 0, func(a edgetest.Answer) bool { return a.Status == 200 }); err != nil {
		return 0, err
	}
	took := time.Since(began)
	_, err := e.command("set server "+server+" state maint", "del server "+server)
	return took, err
}

// yardstickPause is the time between two calls of addServer.
const yardstickPause = 100 * time.Millisecond

// addServers calls addServer again and again until ctx ends, and returns how long each
// server took.
func (e *edge) addServers(ctx context.Context) (times []time.Duration, err error) {
	for edgetest.Pause(ctx, yardstickPause) {
		took, err := e.addServer(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		times = append(times, took)
	}
	return times, nil
}

// commandTimeout bounds one exchange with HAProxy's socket.
const commandTimeout = 5 * time.Second

// command sends commands to HAProxy's admin socket in one line, and returns the reply.
func (e *edge) command(commands ...string) (string, error) {
	conn, err := net.DialTimeout("unix", e.HAProxy.Admin, commandTimeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(commandTimeout)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, strings.Join(commands, ";")+"\n"); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(conn)
	return string(reply), err
}
