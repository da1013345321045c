// SPDX-License-Identifier: Apache-2.0

// Package drain takes this edge node out of its load balancer, and back in. It
// works with and without a running podgate and a running HAProxy: a file in podgate's
// folder marks the node as draining, and HAProxy's node map makes its health checks fail.
// It does not stop podgate or HAProxy.
package drain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"podgate/daemon/confdir"
	"podgate/daemon/config"
)

// Options say how Begin drains. The zero value drains until End and does not wait.
type Options struct {
	For       time.Duration // the drain ends after this time; zero for never
	UntilBoot bool          // the drain ends when the machine boots
	Wait      bool          // Begin returns after the load balancer has noticed and the sessions have ended
}

// ErrEnded is returned by Begin if the drain was ended while Begin waited.
var ErrEnded = errors.New("drain: undrained while waiting")

// SessionsError is returned by Begin if sessions have not ended within
// cloud.drain_timeout. The node continues to drain.
type SessionsError struct {
	Sessions int
	After    time.Duration
}

// Error names the key that bounds the wait.
func (e *SessionsError) Error() string {
	return fmt.Sprintf("drain: %d sessions have not ended after %s (cloud.drain_timeout)", e.Sessions, e.After)
}

// Begin drains the node: its health checks fail from now on, and every answer
// closes its connection. The drain outlasts restarts and reloads of HAProxy and
// podgate. Progress is written to out, one line each. If the node drains already,
// o replaces the options of that drain.
func Begin(ctx context.Context, c *config.Config, o Options, out io.Writer) error {
	n := newNode(c)
	d, draining := n.dir.ReadDrain()
	if !draining || d.Since.IsZero() {
		d = confdir.Drain{Since: time.Now().Round(0)}
	}
	d.Until, d.UntilBoot = time.Time{}, o.UntilBoot
	if o.For > 0 {
		d.Until = time.Now().Round(0).Add(o.For)
	}
	if err := n.dir.WriteDrain(d); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	set, err := n.setWithRetries(ctx, true, out)
	if err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	switch {
	case !set.answers:
		fmt.Fprintln(out, "HAProxy does not answer; it will drain when it starts")
	case len(c.Cloud.HealthBinds)+len(c.Cloud.HealthProxyBinds) == 0:
		fmt.Fprintln(out, "draining, but the load balancer cannot see it: cloud.health_bind is empty")
	default:
		fmt.Fprintln(out, "health checks fail now, so that the load balancer sends clients elsewhere")
	}
	if !d.Until.IsZero() {
		fmt.Fprintf(out, "the drain ends after %s if podgate is running then\n", config.FormatDuration(o.For))
	}
	if !o.Wait {
		return nil
	}
	since := d.Since
	if set.retried {
		since = time.Now()
	}
	return n.wait(ctx, since, c.Cloud, out)
}

// End ends a drain. If the node does not drain, that is no error.
func End(ctx context.Context, c *config.Config, out io.Writer) error {
	n := newNode(c)
	_, draining := n.dir.ReadDrain()
	if err := n.dir.RemoveDrain(); err != nil {
		return fmt.Errorf("undrain: %w", err)
	}
	set, err := n.setWithRetries(ctx, false, out)
	switch {
	case err != nil:
		return fmt.Errorf("undrain: %w", err)
	case !set.answers:
		fmt.Fprintln(out, "not draining; HAProxy does not answer")
	case !draining:
		fmt.Fprintln(out, "not draining")
	default:
		fmt.Fprintln(out, "health checks pass again")
	}
	return nil
}

// EndExpired is End, but does nothing to a drain that has not expired.
func EndExpired(ctx context.Context, c *config.Config, out io.Writer) error {
	if d, draining := newNode(c).dir.ReadDrain(); draining && !d.Expired(time.Now()) {
		fmt.Fprintln(out, "the drain has not expired")
		return nil
	}
	return End(ctx, c, out)
}
