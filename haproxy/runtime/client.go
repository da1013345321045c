// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Client speaks to one HAProxy: to the admin socket, or through the master CLI
// where that one is dead. It holds no connection and remembers nothing else of
// HAProxy, so it outlives every reload and restart. Its methods may be called
// concurrently; those that Apply should be called by one goroutine, because two
// Plans for the same HAProxy know nothing of each other.
type Client struct {
	exchanger
	master    socket
	reloading chan struct{} // holds one token while a reload is under way
}

// New returns a Client of the HAProxy whose stats socket, of level admin, is at
// admin and whose master CLI (haproxy -S) is at master. The maps of ours are
// known to it by their path below folder, which is spelt as in the
// configuration. Nothing is opened before the first call.
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

// AdminSocket returns why the admin socket is not used now and commands go
// through the master CLI, which is slower; nil while it is. It is tried again
// every few seconds, and after each reload.
func (c *Client) AdminSocket() error {
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	return c.worker.death
}

// Process is the HAProxy worker process that serves.
type Process struct {
	Pid        int
	Version    string        // "2.6.12-1+deb12u4"
	Generation string        // the word behind gen= in the "description" of its configuration; "" if there is none
	Uptime     time.Duration // in whole seconds
}

// Process asks which process serves (management.txt "show info").
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

// generation finds gen=<x> among the words of a description, which the
// operator's global section may share.
func generation(description string) string {
	for word := range strings.FieldsSeq(description) {
		if gen, ok := strings.CutPrefix(word, "gen="); ok {
			return gen
		}
	}
	return ""
}

// Backends returns the names of all backends, those of others among them
// (management.txt "show backend").
func (x exchanger) Backends(ctx context.Context) ([]string, error) {
	replies, err := x.exchange(ctx, "show backend")
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	var names []string
	for line := range strings.Lines(replies[0]) {
		if name := strings.TrimSpace(line); name != "" && !strings.HasPrefix(name, "#") {
			names = append(names, name)
		}
	}
	return names, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
