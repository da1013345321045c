// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi/kubeapitest"
)

// Options say how the demo is run.
type Options struct {
	For     time.Duration // how long the clients ask; zero is until ctx ends
	Version string        // podgate's
	Out     io.Writer     // a terminal is rewritten in place
}

// Run shows the demo until ctx ends or its time is over, and removes whatever it
// started or wrote. It returns an error where it cannot begin, where a request
// failed, and where there was none.
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
	return verdict(c)
}

// missing says what to do about a HAProxy that is not there.
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

// run returns when everything that it started has ended: first whatever changes
// the shop, then the clients, then what they asked.
func (d *demo) run(ctx context.Context) (err error) {
	folder, err := os.MkdirTemp("", "podgate-demo")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	api := kubeapitest.New()
	if err := api.Start(""); err != nil {
		return err
	}
	defer api.Stop()
	shop := newShop(api, d.tally, usualPace())
	defer shop.close()
	edge, err := startEdge(ctx, folder, api.URL(), d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, edge.stop()) }()
	load := startLoad(edge.http, d.tally, d.screen)
	defer load.stop()
	d.screen.print(d.header(edge, api.URL()))

	// The clients ask to the last moment, so that the shop outlasts ctx.
	shopCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	churn := &churn{shop: shop, load: load, tally: d.tally, screen: d.screen}
	defer churn.changing.Wait()
	defer cancel()
	deployments, err := open(shopCtx, shop, kinds(edge.tcp))
	if err != nil {
		return err
	}
	for _, dep := range deployments {
		if _, err := load.add(ctx, dep.kind); err != nil {
			return unlessEnded(ctx, err)
		}
	}
	d.tally.begin()
	for _, dep := range deployments {
		churn.changing.Go(func() { churn.keep(shopCtx, dep) })
	}
	churn.changing.Go(func() { churn.comeAndGo(shopCtx) })
	d.watch(ctx)
	return nil
}

// open deploys the Services that stand from start to end.
func open(ctx context.Context, s *shop, kinds []kind) ([]*deployment, error) {
	var all []*deployment
	for _, k := range kinds {
		d, err := s.deploy(ctx, k)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// unlessEnded returns err, or nil where the user ended the demo.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// watch shows the numbers until ctx ends or the time is over.
func (d *demo) watch(ctx context.Context) {
	if d.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.For)
		defer cancel()
	}
	for d.screen.show(); pause(ctx, d.screen.interval()); {
		d.screen.show()
	}
}
