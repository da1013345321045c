// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/runtime"
)

const (
	// setPatience is how long HAProxy is given to accept the node map. A HAProxy that
	// hangs, or has not loaded podgate's configuration yet, may accept it later: in
	// podgate's first second, a reload of the largest edge takes half of this.
	setPatience = 10 * time.Second
	// pollInterval is how often HAProxy is asked while waiting.
	pollInterval = 250 * time.Millisecond
)

// node is this edge node: podgate's folder and HAProxy.
type node struct {
	dir     confdir.Dir
	runtime *runtime.Client
}

func newNode(c *config.Config) node {
	h := c.HAProxy
	return node{confdir.Dir(h.Folder), runtime.New(h.AdminSocket, h.MasterSocket, h.Folder)}
}

// set writes the node map to disk and sends it to HAProxy. It returns false if no HAProxy
// is running.
func (n node) set(ctx context.Context, draining bool) (answers bool, err error) {
	maps, observeErr := n.runtime.Maps(ctx)
	var running haproxy.Map
	if i := slices.Index(haproxy.MapNames(), haproxy.NodeMap); i < len(maps) {
		running = maps[i]
	}
	have := haproxy.ParseNode(running)
	want := have
	if observeErr != nil {
		want = n.onDisk()
	}
	want.Draining = draining
	texts, err := cfgfile.RenderMaps([]haproxy.Map{want.Map()})
	if err != nil {
		return false, err
	}
	if err := n.dir.WriteMaps(texts); err != nil {
		return false, err
	}
	if observeErr != nil {
		if runtime.NotListening(observeErr) {
			return false, nil
		}
		return false, observeErr
	}
	if have == want {
		return true, nil
	}
	applied, err := n.runtime.Apply(ctx, haproxy.Plan{Maps: []haproxy.Map{want.Map()}})
	switch {
	case err != nil:
		return false, err
	case len(applied.Rejected) > 0:
		return false, fmt.Errorf("HAProxy has not loaded podgate's configuration (is podgate running? see podgate setup haproxy --check): %s", applied.Rejected[0])
	}
	return true, nil
}

// outcome is how setWithRetries ended.
type outcome struct {
	answers bool // HAProxy is running
	retried bool // the first attempt failed
}

// setWithRetries calls set until it succeeds, for setPatience at most.
func (n node) setWithRetries(ctx context.Context, draining bool, out io.Writer) (o outcome, err error) {
	began := time.Now()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		o.answers, err = n.set(ctx, draining)
		if err == nil || errors.Is(err, os.ErrPermission) || time.Since(began) >= setPatience {
			return o, err
		}
		if !o.retried {
			fmt.Fprintf(out, "retrying for %s: %v\n", config.FormatDuration(setPatience), err)
		}
		o.retried = true
		select {
		case <-ctx.Done():
			return o, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// onDisk is the node map with which HAProxy would start.
func (n node) onDisk() haproxy.Node {
	text, err := os.ReadFile(n.dir.Path(cfgfile.MapFile(haproxy.NodeMap)))
	if err != nil {
		return haproxy.Node{}
	}
	return haproxy.ParseNode(cfgfile.ParseMap(haproxy.NodeMap, text))
}

// wait returns when the load balancer must have noticed the drain, which began at since,
// and the last session has ended. While HAProxy does not answer, wait retries: at a
// shutdown, HAProxy is stopped as soon as wait returns.
func (n node) wait(ctx context.Context, since time.Time, cloud config.Cloud, out io.Writer) error {
	noticed := since.Add(cloud.DrainWait)
	latest := noticed.Add(cloud.DrainTimeout)
	if left := time.Until(noticed).Round(time.Second); left > 0 {
		fmt.Fprintf(out, "waiting %s for the load balancer (cloud.drain_wait)\n", config.FormatDuration(left))
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var lastErr string // the last error that was written to out
	waiting := false
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("drain: wait interrupted, the node keeps draining: %w", context.Cause(ctx))
		case <-tick.C:
		}
		if _, draining := n.dir.ReadDrain(); !draining {
			return ErrEnded
		}
		sessions, err := n.sessions(ctx)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
		case err != nil && !now.Before(latest):
			return fmt.Errorf("drain: %w", err)
		case err != nil:
			if lastErr != err.Error() {
				lastErr = err.Error()
				fmt.Fprintf(out, "retrying: %v\n", err)
			}
		case now.Before(noticed):
		case sessions == 0:
			fmt.Fprintln(out, "drained: no sessions are left")
			return nil
		case !now.Before(latest):
			return &SessionsError{sessions, cloud.DrainTimeout}
		case !waiting:
			waiting = true
			fmt.Fprintf(out, "waiting for %d sessions to end\n", sessions)
		}
	}
}

// sessions returns how many sessions HAProxy has, zero if it is not running. It sets the
// node map again, because a reload may have begun with the previous map.
func (n node) sessions(ctx context.Context) (int, error) {
	answers, err := n.set(ctx, true)
	if err != nil || !answers {
		return 0, err
	}
	return n.runtime.FrontendSessions(ctx)
}
