// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"podgate/daemon/edgetest"
)

// churn changes the shop the whole time.
type churn struct {
	shop   *shop
	load   *edgetest.Load
	http   netip.AddrPort // HAProxy's HTTP frontend
	tally  *tally
	screen *screen

	changing sync.WaitGroup
}

// keep rolls, scales and moves one Service until ctx ends.
func (c *churn) keep(ctx context.Context, d *deployment) {
	for edgetest.Pause(ctx, c.shop.pace.rest/2+rand.N(c.shop.pace.rest)) {
		if err := c.step(ctx, d); err != nil {
			c.screen.event(fmt.Sprintf("Service %s/%s: %v", namespace, d.name, err))
		}
	}
}

// step makes one change, most often a rolling update, and keeps two pods at least.
func (c *churn) step(ctx context.Context, d *deployment) error {
	switch rand.IntN(6) {
	case 0, 1:
		return d.scale(ctx, max(2, d.kind.pods-1+rand.IntN(4)))
	case 2:
		return d.move(ctx)
	}
	return d.roll(ctx)
}

// addAndRemove adds and removes Services until ctx ends, each under another name.
func (c *churn) addAndRemove(ctx context.Context) {
	for n := 1; edgetest.Pause(ctx, c.shop.pace.rest+rand.N(3*c.shop.pace.rest)); n++ {
		if err := c.once(ctx, sale(n)); err != nil && ctx.Err() == nil {
			c.screen.event(err.Error())
		}
	}
}

// once adds a Service, rolls it and removes it.
func (c *churn) once(ctx context.Context, k kind) error {
	began := time.Now()
	d, err := c.shop.deploy(ctx, k)
	if err != nil {
		return err
	}
	c.tally.add(0, 1)
	c.screen.event(fmt.Sprintf("Service %s/%s added", namespace, k.name))
	forget, err := c.load.Add(ctx, k.target(c.http))
	if err != nil {
		return err
	}
	c.screen.event(fmt.Sprintf("Service %s/%s answers after %v", namespace, k.name, time.Since(began).Round(time.Millisecond)))
	edgetest.Pause(ctx, 2*c.shop.pace.rest)
	if err := d.roll(ctx); err != nil {
		return err
	}
	if !edgetest.Pause(ctx, 2*c.shop.pace.rest) {
		return nil // the clients use the Service until the end
	}
	forget()
	if err := d.remove(ctx); err != nil {
		return err
	}
	c.screen.event(fmt.Sprintf("Service %s/%s removed", namespace, k.name))
	return nil
}
