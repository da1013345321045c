// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Client is a client of one HAProxy. It uses the admin socket, or the master CLI while
// the admin socket does not answer. It keeps no connection open for longer than a
// second, and stays valid when HAProxy is reloaded or restarted. Its methods may be called
// concurrently, but only one goroutine should Apply Plans, which are not compatible with
// each other.
type Client struct {
	exchanger
	master    socket
	reloading chan struct{} // holds one token while a reload is under way
	idle      idle
}

// New returns a Client of the HAProxy with the stats socket admin, which must have
// level admin, and the master CLI master (haproxy -S). folder is podgate's folder as in
// the configuration, by which HAProxy names maps and certificates. New opens no
// connection.
func New(admin, master, folder string) *Client {
	c := &Client{
		exchanger: exchanger{folder: folder, worker: &worker{}},
		master: socket{path: master, timeout: masterTimeout, patience: masterPatience, remedies: remedies{
			denied:  "does -S of HAProxy's unit give group haproxy the master socket?",
			missing: "is HAProxy running, and is this the master socket of its -S option?",
		}},
		reloading: make(chan struct{}, 1),
	}
	c.worker.admin = socket{path: admin, timeout: exchangeTimeout, remedies: remedies{
		denied:  "is podgate in group haproxy?",
		missing: "is HAProxy running, and is this the stats socket of its configuration?",
	}}
	c.worker.master = c.master
	c.worker.master.timeout, c.worker.master.patience, c.worker.master.prefix = exchangeTimeout, 0, currentWorker
	return c
}

// AdminSocket returns the error because of which the Client uses the master CLI, which
// is slower, and not the admin socket; nil while it uses the admin socket. It tries the
// admin socket again every few seconds, and after each reload.
func (c *Client) AdminSocket() error {
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	return c.worker.adminErr
}

// Process is the HAProxy worker process that serves.
type Process struct {
	Pid        int
	Version    string        // "2.6.12-1+deb12u4"
	Generation string        // the word after "gen=" in the "description" of its configuration; "" without "gen="
	Uptime     time.Duration // in whole seconds
}

// Process returns the process that serves (management.txt "show info").
func (x exchanger) Process(ctx context.Context) (Process, error) {
	p, err := x.process(ctx)
	if err != nil {
		return Process{}, fmt.Errorf("observe HAProxy: %w", err)
	}
	return p, nil
}

func (x exchanger) process(ctx context.Context) (Process, error) {
	replies, err := x.exchange(ctx, "show info")
	if err != nil {
		return Process{}, err
	}
	return parseInfo(replies[0])
}

func parseInfo(reply string) (Process, error) {
	var p Process
	for line := range strings.Lines(reply) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Pid":
			p.Pid, _ = strconv.Atoi(value)
		case "Version":
			p.Version = value
		case "Uptime_sec":
			seconds, _ := strconv.Atoi(value)
			p.Uptime = time.Duration(seconds) * time.Second
		case "description":
			p.Generation = generation(value)
		}
	}
	if p.Pid == 0 {
		return Process{}, fmt.Errorf("show info: no Pid in the reply %q", firstLine(reply))
	}
	return p, nil
}

// generation returns x of the word "gen=x" in a description, to which the operator's
// global section can contribute other words.
func generation(description string) string {
	for word := range strings.FieldsSeq(description) {
		if gen, ok := strings.CutPrefix(word, "gen="); ok {
			return gen
		}
	}
	return ""
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
