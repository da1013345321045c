// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// churn changes the shop the whole time.
type churn struct {
	shop   *shop
	load   *load
	tally  *tally
	screen *screen

	changing sync.WaitGroup
}

// keep rolls, scales and moves one Service until ctx ends.
func (c *churn) keep(ctx context.Context, d *deployment) {
	for pause(ctx, c.shop.pace.rest/2+rand.N(c.shop.pace.rest)) {
		if err := c.step(ctx, d); err != nil {
			c.screen.tell(fmt.Sprintf("Service %s/%s: %v", namespace, d.name, err))
		}
	}
}

// step does one thing, rolling most often, and leaves two pods at least.
func (c *churn) step(ctx context.Context, d *deployment) error {
	switch rand.IntN(6) {
	case 0, 1:
		return d.scale(ctx, max(2, d.pods-1+rand.IntN(4)))
	case 2:
		return d.move(ctx)
	}
	return d.roll(ctx)
}

// comeAndGo adds a Service and removes it again until ctx ends, another one each
// time.
func (c *churn) comeAndGo(ctx context.Context) {
	for n := 1; pause(ctx, c.shop.pace.rest+rand.N(3*c.shop.pace.rest)); n++ {
		if err := c.once(ctx, sale(n)); err != nil && ctx.Err() == nil {
			c.screen.tell(err.Error())
		}
	}
}

// once is the life of one Service. One that is never answered is a request that
// failed.
func (c *churn) once(ctx context.Context, k kind) error {
	began := time.Now()
	d, err := c.shop.deploy(ctx, k)
	if err != nil {
		return err
	}
	c.tally.service()
	c.screen.tell(fmt.Sprintf("Service %s/%s added", namespace, k.name))
	t, err := c.load.add(ctx, k)
	if err != nil {
		if ctx.Err() == nil {
			c.tally.request()
			c.tally.fail(err.Error())
		}
		return err
	}
	c.screen.tell(fmt.Sprintf("Service %s/%s answers after %v", namespace, k.name, time.Since(began).Round(time.Millisecond)))
	pause(ctx, 2*c.shop.pace.rest)
	if err := d.roll(ctx); err != nil {
		return err
	}
	if !pause(ctx, 2*c.shop.pace.rest) {
		return nil // the clients go on asking to the last
	}
	c.load.remove(t)
	if err := d.remove(ctx); err != nil {
		return err
	}
	c.screen.tell(fmt.Sprintf("Service %s/%s removed", namespace, k.name))
	return nil
}
