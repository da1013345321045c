// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

// Options describe a run of the demo.
type Options struct {
	For     time.Duration // how long the clients send requests; zero is until ctx ends
	Version string        // podgate's
	Out     io.Writer     // a terminal is rewritten in place
}

// Run shows the demo until ctx ends or o.For has passed, and removes everything that it
// started or wrote. It returns an error if it cannot start, if a request failed, and if
// none was sent.
func Run(ctx context.Context, o Options) error {
	if _, err := haproxytest.Binary(); err != nil {
		return missing(err)
	}
	d := &demo{Options: o, tally: new(tally)}
	d.screen = newScreen(o.Out, d.tally)
	err := d.run(ctx)
	d.screen.end()
	if err != nil {
		return err
	}
	c := d.tally.now()
	d.screen.print(summary(c))
	return c.Err()
}

// missing returns the error for a HAProxy that is not installed, with the remedy.
func missing(err error) error {
	if os.Getenv("HAPROXY") != "" {
		return fmt.Errorf("find HAProxy: %w (does $HAPROXY name the binary?)", err)
	}
	return errors.New("find HAProxy: not installed (apt-get install haproxy, or name a binary in $HAPROXY)")
}

// demo is one run.
type demo struct {
	Options
	tally  *tally
	screen *screen
}

// With these numbers, all clients together send about 900 requests a second.
const (
	clients = 16
	think   = 12 * time.Millisecond
)

// run returns when everything that it started has ended: first the changes of the shop,
// then the clients, then the edge and the pods.
func (d *demo) run(ctx context.Context) (err error) {
	cluster, err := edgetest.StartCluster()
	if err != nil {
		return err
	}
	defer cluster.Stop()
	shop := newShop(cluster, d.tally, usualPace())
	defer shop.close()
	edge, err := startEdge(ctx, cluster, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, edge.stop()) }()
	load := edgetest.StartLoad(edgetest.LoadOptions{Clients: clients, Think: think, Failed: d.failed})
	defer func() { load.Stop(); d.tally.end() }()
	d.screen.print(d.header(edge))

	// The clients send requests until the end, so the shop outlasts ctx.
	shopCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	churn := &churn{shop: shop, load: load, http: edge.HTTP, tally: d.tally, screen: d.screen}
	defer churn.changing.Wait()
	defer cancel()
	var deployments []*deployment
	for _, k := range kinds(edge.tcp.Port()) {
		dep, err := shop.deploy(shopCtx, k)
		if err != nil {
			return err
		}
		deployments = append(deployments, dep)
	}
	for _, dep := range deployments {
		switch _, err := load.Add(ctx, dep.target(edge.HTTP)); {
		case err != nil && ctx.Err() != nil:
			return nil // the user ended the demo
		case err != nil:
			return err
		}
	}
	d.tally.begin(load.Report)
	for _, dep := range deployments {
		churn.changing.Go(func() { churn.keep(shopCtx, dep) })
	}
	churn.changing.Go(func() { churn.addAndRemove(shopCtx) })
	d.watch(ctx)
	return nil
}

// failed shows the first requests that fail.
func (d *demo) failed(f edgetest.Failure) {
	if d.tally.now().Failed <= shownFailures {
		d.screen.event(fmt.Sprintf("failed: %s: %v", f.Request, f.Err))
	}
}

// watch shows the numbers until ctx ends or d.For has passed.
func (d *demo) watch(ctx context.Context) {
	if d.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.For)
		defer cancel()
	}
	for d.screen.show(); edgetest.Pause(ctx, d.screen.interval()); {
		d.screen.show()
	}
}
