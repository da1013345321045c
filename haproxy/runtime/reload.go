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
	// reloadTimeout bounds a reload where the caller's context does not:
	// 20000 backends come up in two seconds, on a slow box in ten.
	reloadTimeout = time.Minute
	// stopTimeout bounds the wait for the process before to stop accepting.
	stopTimeout = 5 * time.Second
	// pollInterval is how often a new process, or a socket that rejects, is
	// tried.
	pollInterval = 10 * time.Millisecond
	// watchInterval is how often it is looked whether somebody else reloaded.
	watchInterval = 100 * time.Millisecond
	// replyPatience is how long the master's reply may come behind a new process.
	replyPatience = time.Second
	// downPatience is for how long neither a worker nor the master may take
	// connections before HAProxy is known to have ended. The worker that is to be
	// replaced takes them while the next one loads.
	downPatience = 3 * time.Second
)

// LoadError is a configuration that HAProxy did not take. It goes on serving
// the one before.
type LoadError struct {
	// Log is what HAProxy said to it, line by line; nil from 2.6, which only
	// writes it to its log.
	Log []string
}

func (e *LoadError) Error() string {
	if len(e.Log) == 0 {
		return "HAProxy did not take the configuration (its log says why: journalctl -u haproxy)"
	}
	return "HAProxy did not take the configuration: " + strings.Join(e.Log, "; ")
}

// Reload has the master load the configuration files as they are on disk, and
// waits until a process of that generation and of another Pid than before
// answers, which it returns (management.txt "reload"). It waits for a minute
// unless ctx ends before. Of concurrent calls one waits for the other.
//
// A *LoadError is the configuration's fault. Any other error leaves open what
// HAProxy serves.
func (c *Client) Reload(ctx context.Context, generation string) (Process, error) {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	select {
	case c.reloading <- struct{}{}:
		defer func() { <-c.reloading }()
	case <-ctx.Done():
		return Process{}, fmt.Errorf("reload HAProxy: wait for another reload: %w", context.Cause(ctx))
	}
	// Where no process can be seen, which a reload may well repair, any is new.
	before, _ := c.process(ctx)
	p, err := c.reload(ctx, generation, before)
	if err != nil {
		return Process{}, fmt.Errorf("reload HAProxy: %w", err)
	}
	c.worker.remember(nil) // a worker opens its admin socket anew
	c.awaitStop(ctx, before)
	return p, nil
}

func (c *Client) reload(ctx context.Context, generation string, before Process) (Process, error) {
	serves := func(p Process) bool { return p.Pid != before.Pid && p.Generation == generation }

	reply, err := c.askReload(ctx, before.Pid)
	for reply == "" && forgot(err) && ctx.Err() == nil {
		p, _ := c.process(ctx)
		if serves(p) {
			return p, nil // what it loaded is what we asked for
		}
		reply, err = c.askReload(ctx, p.Pid)
	}
	if err != nil && reply == "" {
		return Process{}, err
	}
	first, log, _ := strings.Cut(strings.TrimSpace(reply), "\n")
	switch first {
	case "Success=1":
		return c.await(ctx, generation, serves, func() bool { return false })
	case "Success=0":
		// It was seen of reloads that had succeeded.
		if p, err := c.process(ctx); err == nil && serves(p) {
			return p, nil
		}
		return Process{}, &LoadError{Log: alerts(log)}
	}
	return c.await(ctx, generation, serves, func() bool { return c.loadFailed(ctx) })
}

// errForgotten is a "reload" that the master never answers.
var errForgotten = errors.New("the master does not answer")

// forgot reports whether the master was loading already and forgot who had
// connected.
func forgot(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, errForgotten)
}

// askReload says "reload" to the master and returns its reply. A reload by
// somebody else may come first: the master starts over with it, and newer ones
// then keep our connection without ever looking at it. So whoever serves is
// looked at meanwhile. Once it is not the process before, zero if that is not
// known, the reply is waited for a while yet, because ours may be next, and is
// then an errForgotten.
func (c *Client) askReload(ctx context.Context, before int) (string, error) {
	asked := time.Now()
	asking, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var watching sync.WaitGroup
	if before != 0 {
		watching.Go(func() {
			if !c.awaitOther(asking, before) {
				return
			}
			patience := time.NewTimer(replyPatience + time.Since(asked)) // ours takes about as long
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

// awaitOther reports whether, before ctx ends, another process than pid answers
// on the admin socket.
func (c *Client) awaitOther(ctx context.Context, pid int) bool {
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

// loadFailed asks the master of HAProxy 2.6, which does not answer "reload",
// for the number of its failed reloads since the last good one. It drops
// connections while it tries, and tells nothing then.
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

// alerts are the lines of a log that say what is wrong; all of them if none
// says so.
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

// await asks for the process until it serves, the load has failed or ctx ends.
func (c *Client) await(ctx context.Context, generation string, serves func(Process) bool, failed func() bool) (Process, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var seen Process
	answered := time.Now() // when HAProxy was there last
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
		case ctx.Err() != nil && seen.Pid != 0: // cut by the deadline, not by HAProxy
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
			return Process{}, fmt.Errorf("generation %s does not serve after %s: process %d with generation %q goes on: %w", generation, waited(), p.Pid, p.Generation, context.Cause(ctx))
		}
	}
}

// NotListening reports whether an error is of a connection that could not even be
// opened: no HAProxy runs.
func NotListening(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// masterListens reports whether the master takes connections.
func (c *Client) masterListens(ctx context.Context) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.master.path)
	if err == nil {
		err = conn.Close()
	}
	return !NotListening(err)
}

// awaitStop waits until the process before was told to stop, and reports whether it
// was. Until then both accept connections on the admin socket, and a server that is
// added to the old one is lost.
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
			return false // the new one serves, and the next Observe shows what is lost
		}
	}
}
