// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/runtime"
)

// DrainOptions say how Drain drains. The zero value drains until Undrain and
// does not wait.
type DrainOptions struct {
	For       time.Duration // the drain ends by itself after so long; zero for not
	UntilBoot bool          // it ends by itself when the machine is booted again
	Wait      bool          // return when the load balancer has noticed and the sessions have ended
}

// ErrUndrained is of a wait for a drain that somebody ended.
var ErrUndrained = errors.New("drain: the node was undrained meanwhile")

// SessionsError tells that sessions outlived cloud.drain_timeout. The node goes
// on draining.
type SessionsError struct {
	Sessions int
	After    time.Duration
}

func (e *SessionsError) Error() string {
	return fmt.Sprintf("drain: %d sessions have not ended after %s (cloud.drain_timeout)", e.Sessions, e.After)
}

// Drain takes the node out of its load balancer: health checks fail from now on,
// and every answer ends its connection. It needs no podgate that runs, and is not
// undone by one, nor by a restart or reload of HAProxy. What happens is told to
// out, a line each. A node that drains already goes on as it is asked to now.
func Drain(ctx context.Context, c *config.Config, o DrainOptions, out io.Writer) error {
	n := newNode(c)
	d, draining := n.folder.ReadDrain()
	if !draining || d.Since.IsZero() {
		d = confdir.Drain{Since: time.Now().Round(0)}
	}
	d.Until, d.UntilBoot = time.Time{}, o.UntilBoot
	if o.For > 0 {
		d.Until = time.Now().Round(0).Add(o.For)
	}
	if err := n.folder.WriteDrain(d); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	answers, late, err := n.tellPatiently(ctx, true, out)
	if err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	switch {
	case !answers:
		fmt.Fprintln(out, "HAProxy does not answer; when it starts, it will drain")
	case len(c.Cloud.HealthBinds)+len(c.Cloud.HealthProxyBinds) == 0:
		fmt.Fprintln(out, "draining, but no load balancer is told: cloud.health_bind is empty")
	default:
		fmt.Fprintln(out, "health checks fail, the load balancer is to send clients elsewhere")
	}
	if !d.Until.IsZero() {
		fmt.Fprintf(out, "the drain ends by itself after %s, if podgate runs then\n", config.FormatDuration(o.For))
	}
	if !o.Wait {
		return nil
	}
	since := d.Since
	if late {
		since = time.Now()
	}
	return n.awaitEnd(ctx, since, c.Cloud, out)
}

// Undrain ends a drain. With ifOver it leaves one alone that has not ended by
// itself.
func Undrain(ctx context.Context, c *config.Config, ifOver bool, out io.Writer) error {
	n := newNode(c)
	d, draining := n.folder.ReadDrain()
	if ifOver && draining && !d.Over() {
		fmt.Fprintln(out, "the drain goes on")
		return nil
	}
	if err := n.folder.RemoveDrain(); err != nil {
		return fmt.Errorf("undrain: %w", err)
	}
	answers, _, err := n.tellPatiently(ctx, false, out)
	switch {
	case err != nil:
		return fmt.Errorf("undrain: %w", err)
	case !answers:
		fmt.Fprintln(out, "not draining; HAProxy does not answer")
	case !draining:
		fmt.Fprintln(out, "not draining")
	default:
		fmt.Fprintln(out, "health checks pass again")
	}
	return nil
}

// node is what a command knows of this edge.
type node struct {
	folder  confdir.Dir
	runtime *runtime.Client
}

func newNode(c *config.Config) node {
	h := c.HAProxy
	return node{confdir.Dir(h.Folder), runtime.New(h.AdminSocket, h.MasterSocket, h.Folder)}
}

// tell puts on disk and tells HAProxy whether the node drains, and reports
// whether HAProxy is there.
func (n node) tell(ctx context.Context, draining bool) (bool, error) {
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
	if err := n.folder.WriteMaps(texts); err != nil {
		return false, err
	}
	if observeErr != nil {
		if runtime.NobodyListens(observeErr) {
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
	case len(applied.Refused) > 0:
		return false, fmt.Errorf("HAProxy has not loaded what podgate writes (does podgate run?): %s", applied.Refused[0])
	}
	return true, nil
}

// tellPatience is how long a command goes on telling a HAProxy that hangs, or has
// yet to load what podgate writes, as in podgate's first second: a reload of the
// largest edge takes half of it.
const tellPatience = 10 * time.Second

// tellPatiently is tell for as long as may help, and reports whether it had to be
// repeated.
func (n node) tellPatiently(ctx context.Context, draining bool, out io.Writer) (answers, late bool, err error) {
	began := time.Now()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for {
		answers, err = n.tell(ctx, draining)
		if err == nil || errors.Is(err, os.ErrPermission) || time.Since(began) >= tellPatience {
			return answers, late, err
		}
		if !late {
			fmt.Fprintf(out, "trying for %s: %v\n", config.FormatDuration(tellPatience), err)
		}
		late = true
		select {
		case <-ctx.Done():
			return answers, late, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// onDisk is what HAProxy will start with.
func (n node) onDisk() haproxy.Node {
	text, err := os.ReadFile(filepath.Join(string(n.folder), cfgfile.MapFile(haproxy.NodeMap)))
	if err != nil {
		return haproxy.Node{}
	}
	var m haproxy.Map
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		m.Entries = append(m.Entries, haproxy.MapEntry{Key: key, Value: value})
	}
	return haproxy.ParseNode(m)
}

// drainTick is how often a wait looks whether it is over.
const drainTick = 250 * time.Millisecond

// awaitEnd waits until the load balancer must have noticed and the last session
// of ours has ended. That HAProxy cannot be asked for a while ends no wait: who
// waits here may be the machine's shutdown, and stops HAProxy next.
func (n node) awaitEnd(ctx context.Context, since time.Time, cloud config.Cloud, out io.Writer) error {
	noticed := since.Add(cloud.DrainWait)
	latest := noticed.Add(cloud.DrainTimeout)
	if wait := time.Until(noticed).Round(time.Second); wait > 0 {
		fmt.Fprintf(out, "waiting %s for the load balancer (cloud.drain_wait)\n", config.FormatDuration(wait))
	}
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	var failure string // the last one that was told
	waiting := false
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("drain: the wait was interrupted, the node goes on draining: %w", context.Cause(ctx))
		case <-tick.C:
		}
		if _, draining := n.folder.ReadDrain(); !draining {
			return ErrUndrained
		}
		sessions, err := n.sessions(ctx)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
		case err != nil && !now.Before(latest):
			return fmt.Errorf("drain: %w", err)
		case err != nil:
			if failure != err.Error() {
				failure = err.Error()
				fmt.Fprintf(out, "trying on: %v\n", err)
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

// sessions tells HAProxy to drain, since a reload may have begun before, and
// returns how many sessions it has; none if it does not run.
func (n node) sessions(ctx context.Context) (int, error) {
	answers, err := n.tell(ctx, true)
	if err != nil || !answers {
		return 0, err
	}
	return n.runtime.FrontendSessions(ctx)
}
