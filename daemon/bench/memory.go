// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
)

// haproxyMemory is what HAProxy takes with podgate's files, freshly started. The
// yardstick is a file with the same servers as one would write it by hand.
func haproxyMemory(ctx context.Context, e *edge) (line, error) {
	if err := e.podgate.stop(); err != nil {
		return nil, err
	}
	if err := e.haproxy.Restart(ctx); err != nil {
		return nil, err
	}
	used, err := workerMemory(ctx, e.haproxy)
	if err != nil {
		return nil, err
	}
	listen, err := e.haproxy.FreeAddr()
	if err != nil {
		return nil, err
	}
	routes, config := e.handWritten(listen.String())
	byHand, err := haproxytest.Start(ctx, haproxytest.Options{Files: map[string][]byte{"routes.map": routes}})
	if err != nil {
		return nil, err
	}
	defer byHand.Stop()
	config = bytes.ReplaceAll(config, []byte("FOLDER"), []byte(byHand.Folder))
	if err := byHand.Write(map[string][]byte{"edge.cfg": config}); err != nil {
		return nil, err
	}
	if err := byHand.Restart(ctx); err != nil {
		return nil, err
	}
	yardstick, err := workerMemory(ctx, byHand)
	if err != nil {
		return nil, err
	}
	return line{{"rss_mb", used}, {"yardstick_rss_mb", yardstick}, {"times_yardstick", round(used / yardstick)}}, nil
}

// workerMemory is the resident memory of the worker that serves, a moment after
// its start.
func workerMemory(ctx context.Context, h *haproxytest.HAProxy) (float64, error) {
	if !pause(ctx, time.Second) {
		return 0, context.Cause(ctx)
	}
	process, err := runtime.New(h.Admin, h.Master, h.Folder).Process(ctx)
	if err != nil {
		return 0, err
	}
	return residentMB(process.Pid), nil
}

// handWritten is a map of paths and a configuration, in which FOLDER stands for
// the folder of both.
func (e *edge) handWritten(listen string) (routes, config []byte) {
	var m, c bytes.Buffer
	fmt.Fprintf(&c, `defaults byhand
  mode http
  balance roundrobin
  timeout connect 5s
  timeout client 50s
  timeout server 50s

frontend edge from byhand
  bind %s
  use_backend %%[path,field(2,/),map(FOLDER/routes.map)]
`, listen)
	check := ""
	if e.check {
		check = fmt.Sprintf(" check inter %d", checkInterval.Milliseconds())
	}
	for i := range e.services {
		fmt.Fprintf(&m, "%s %s\n", serviceName(i), serviceName(i))
		fmt.Fprintf(&c, "\nbackend %s from byhand\n", serviceName(i))
		for _, addr := range e.pods.next(e.size.pods) {
			fmt.Fprintf(&c, "  server %s %s%s\n", addr, addr, check)
		}
	}
	return m.Bytes(), c.Bytes()
}
