// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// reloadTimeout limits a reload. HAProxy loads 20,000 backends in two seconds, on a
	// slow machine in ten.
	reloadTimeout = time.Minute
	// stopTimeout limits how long Reload waits for the old process to stop accepting
	// connections.
	stopTimeout = 5 * time.Second
	// pollInterval is the time between two attempts to reach a new process, or a socket
	// that refuses connections.
	pollInterval = 10 * time.Millisecond
	// watchInterval is the time between two checks whether another client reloaded.
	watchInterval = 100 * time.Millisecond
	// replyPatience is how long after a new process the master may still reply.
	replyPatience = time.Second
	// downPatience is the time without a connection to a worker or the master after
	// which HAProxy counts as ended. While a worker loads, the old one accepts
	// connections.
	downPatience = 3 * time.Second
)

// LoadError is returned if HAProxy rejects a configuration. It continues with the one
// before.
type LoadError struct {
	// Log is HAProxy's messages, one per line; nil from 2.6, which writes them to its
	// log only.
	Log []string
}

func (e *LoadError) Error() string {
	if len(e.Log) == 0 {
		return "HAProxy rejected the configuration (its log contains the reason: journalctl -u haproxy)"
	}
	return "HAProxy rejected the configuration: " + strings.Join(e.Log, "; ")
}

// Reload makes the master load the configuration files on disk, waits until another
// process than before answers with that generation, and returns it (management.txt
// "reload"). It waits for at most a minute. Concurrent calls wait for each other.
//
// The error is a *LoadError if HAProxy rejected the configuration. After any other
// error it is not known what HAProxy serves.
func (c *Client) Reload(ctx context.Context, generation string) (Process, error) {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	select {
	case c.reloading <- struct{}{}:
		defer func() { <-c.reloading }()
	case <-ctx.Done():
		return Process{}, fmt.Errorf("reload HAProxy: wait for another reload: %w", context.Cause(ctx))
	}
	before, _ := c.process(ctx) // after an error, which a reload may repair, every process is new
	p, err := c.reload(ctx, generation, before)
	if err != nil {
		return Process{}, fmt.Errorf("reload HAProxy: %w", err)
	}
	c.worker.setAdminError(nil) // the new worker opened its own admin socket
	c.idle.end()
	c.awaitStop(ctx, before)
	return p, nil
}

func (c *Client) reload(ctx context.Context, generation string, before Process) (Process, error) {
	serves := func(p Process) bool { return p.Pid != before.Pid && p.Generation == generation }

	reply, err := c.sendReload(ctx, before.Pid)
	for reply == "" && isForgotten(err) && ctx.Err() == nil {
		p, _ := c.process(ctx)
		if serves(p) {
			return p, nil // another reload loaded the same files
		}
		reply, err = c.sendReload(ctx, p.Pid)
	}
	if err != nil && reply == "" {
		return Process{}, err
	}
	first, log, _ := strings.Cut(strings.TrimSpace(reply), "\n")
	switch first {
	case "Success=1":
		return c.await(ctx, generation, serves, func() bool { return false })
	case "Success=0":
		// HAProxy also replies that after some successful reloads.
		if p, err := c.process(ctx); err == nil && serves(p) {
			return p, nil
		}
		return Process{}, &LoadError{Log: alerts(log)}
	}
	return c.await(ctx, generation, serves, func() bool { return c.loadFailed(ctx) })
}

// errForgotten is returned for a "reload" that the master will never answer.
var errForgotten = errors.New("the master does not answer")

// isForgotten reports whether the master lost the connection because another reload was
// in progress.
func isForgotten(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, errForgotten)
}

// sendReload sends "reload" to the master and returns its reply. If another client
// reloads first, the master restarts itself, and newer versions then keep this
// connection open and never answer. So sendReload watches the process that serves. When
// that is no longer the process before (0 if unknown), it waits a little longer,
// because the own reload may be next, and then returns errForgotten.
func (c *Client) sendReload(ctx context.Context, before int) (string, error) {
	asked := time.Now()
	asking, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var watching sync.WaitGroup
	if before != 0 {
		watching.Go(func() {
			if !c.awaitOtherProcess(asking, before) {
				return
			}
			patience := time.NewTimer(replyPatience + time.Since(asked)) // the own reload takes about as long as the other one
			defer patience.Stop()
			select {
			case <-patience.C:
				giveUp(errForgotten)
			case <-asking.Done():
			}
		})
	}
	reply, err := c.master.ask(asking, "reload\n")
	giveUp(nil)
	watching.Wait()
	return reply, err
}

// awaitOtherProcess waits until another process than pid answers on the admin socket.
// It returns false if ctx ends before.
func (c *Client) awaitOtherProcess(ctx context.Context, pid int) bool {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		replies, err := collect(ctx, c.worker.admin.exchange, []string{"show info"})
		if err != nil {
			continue
		}
		if p, err := parseInfo(replies[0]); err == nil && p.Pid != pid {
			return true
		}
	}
}

// loadFailed reports whether reloads have failed since the last successful one. It is
// for HAProxy 2.6, whose master does not answer "reload". While that master loads, it
// drops connections and loadFailed returns false.
func (c *Client) loadFailed(ctx context.Context) bool {
	master := c.master
	master.patience = 0
	procs, err := master.ask(ctx, "show proc;quit\n")
	if err != nil {
		return false
	}
	m := regexp.MustCompile(`\smaster\s.*\[failed: (\d+)\]`).FindStringSubmatch(procs)
	return m != nil && m[1] != "0"
}

// alerts returns the alerts of a log, or all lines if it contains no alert.
func alerts(log string) []string {
	var all, alerts []string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if line == "" || line == "--" {
			continue
		}
		all = append(all, line)
		if strings.Contains(line, "[ALERT]") {
			alerts = append(alerts, line)
		}
	}
	if alerts == nil {
		return all
	}
	return alerts
}

// await polls the process until it serves, the load has failed or ctx ends.
func (c *Client) await(ctx context.Context, generation string, serves func(Process) bool, failed func() bool) (Process, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var seen Process
	answered := time.Now() // when HAProxy last accepted a connection
	began := answered
	waited := func() time.Duration { return time.Since(began).Round(time.Millisecond) }
	for {
		p, err := c.process(ctx)
		if err == nil && serves(p) {
			return p, nil
		}
		if err == nil || !NotListening(err) || c.masterListens(ctx) {
			answered = time.Now()
		}
		if time.Since(answered) > downPatience {
			return Process{}, fmt.Errorf("HAProxy ended while it loaded generation %s (journalctl -u haproxy): %w", generation, err)
		}
		switch {
		case err == nil:
			seen = p
		case ctx.Err() != nil && seen.Pid != 0: // the deadline caused the error, not HAProxy
			p, err = seen, nil
		}
		if failed() {
			return Process{}, &LoadError{}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if err != nil {
				return Process{}, fmt.Errorf("generation %s does not serve after %s: %w", generation, waited(), err)
			}
			return Process{}, fmt.Errorf("generation %s does not serve after %s: process %d with generation %q still serves: %w", generation, waited(), p.Pid, p.Generation, context.Cause(ctx))
		}
	}
}

// NotListening reports whether an error means that no HAProxy listens on a socket.
func NotListening(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// masterListens reports whether the master accepts connections.
func (c *Client) masterListens(ctx context.Context) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.master.path)
	if err == nil {
		err = conn.Close()
	}
	return !NotListening(err)
}

// awaitStop waits until the old process begins to stop, and reports whether it did.
// Until then both processes accept connections on the admin socket, and a server that
// is added to the old one is lost.
func (c *Client) awaitStop(ctx context.Context, before Process) bool {
	if before.Pid == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	stops := func(reply []byte) bool {
		return noTarget(reply) || bytes.Contains(reply, []byte("\nStopping: 1"))
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		reply, err := c.master.askUntil(ctx, fmt.Sprintf("@!%d show info;quit\n", before.Pid), stops)
		if err == nil && stops([]byte(reply)) {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false // the new process serves, and the next Observe shows lost changes
		}
	}
}
