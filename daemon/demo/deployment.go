// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"slices"
	"sync"

	"podgate/daemon/edgetest"
)

// deployment is a Service and its pods. One goroutine at a time may change it.
type deployment struct {
	kind
	shop *shop

	mu   sync.Mutex // pods that end hold it too
	pods []listed   // oldest first
}

// listed is a pod that the EndpointSlices show.
type listed struct {
	*edgetest.Pod
	terminating bool
}

// deploy creates a Service, after its pods.
func (s *shop) deploy(ctx context.Context, k kind) (*deployment, error) {
	d := &deployment{kind: k, shop: s}
	if err := d.change(ctx, k.pods, 0); err != nil {
		return nil, err
	}
	return d, s.cluster.PutService(edgetest.Service(k.name, k.annotations))
}

// remove deletes the Service and its EndpointSlices, and lets its pods end.
func (d *deployment) remove(ctx context.Context) error {
	d.shop.cluster.RemoveService(d.name)
	return d.change(ctx, 0, d.size())
}

// size returns how many pods are ready.
func (d *deployment) size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, p := range d.pods {
		if !p.terminating {
			n++
		}
	}
	return n
}

// roll replaces every pod, one by one, and never has fewer ready ones than before.
func (d *deployment) roll(ctx context.Context) error {
	for range d.size() {
		if err := d.change(ctx, 1, 0); err != nil {
			return err
		}
		if !edgetest.Pause(ctx, d.shop.pace.settle) {
			return nil
		}
		if err := d.change(ctx, 0, 1); err != nil {
			return err
		}
	}
	return nil
}

// scale starts or ends pods until there are n.
func (d *deployment) scale(ctx context.Context, n int) error {
	have := d.size()
	return d.change(ctx, max(0, n-have), max(0, have-n))
}

// move replaces all pods together by as many at other addresses.
func (d *deployment) move(ctx context.Context) error {
	return d.change(ctx, d.size(), d.size())
}

// change adds new pods as ready, and marks the oldest ready ones as terminating, in one
// step. Those end in the background.
func (d *deployment) change(ctx context.Context, add, end int) error {
	var fresh []listed
	for range add {
		p, err := d.shop.start(d.kind)
		if err != nil {
			return err
		}
		fresh = append(fresh, listed{Pod: p})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var ending []*edgetest.Pod
	for i := range d.pods {
		if p := &d.pods[i]; !p.terminating && len(ending) < end {
			p.terminating = true
			ending = append(ending, p.Pod)
		}
	}
	d.pods = append(d.pods, fresh...)
	if len(ending) > 0 {
		d.shop.leaving.Go(func() { d.end(ctx, ending) })
	}
	return d.publish(add + len(ending))
}

// end removes the endpoints of terminating pods, and ends each pod when it gets no more
// requests.
func (d *deployment) end(ctx context.Context, pods []*edgetest.Pod) {
	if !edgetest.Pause(ctx, d.shop.pace.unlisted) {
		return
	}
	d.unlist(pods)
	var leaving sync.WaitGroup
	defer leaving.Wait()
	for _, p := range pods {
		leaving.Go(func() { d.shop.leave(ctx, p) })
	}
}

func (d *deployment) unlist(pods []*edgetest.Pod) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pods = slices.DeleteFunc(d.pods, func(p listed) bool { return slices.Contains(pods, p.Pod) })
	if err := d.publish(len(pods)); err != nil {
		panic(err) // the same endpoints and more could be written before
	}
}

// publish writes the EndpointSlices and counts the changes. The caller holds d.mu.
func (d *deployment) publish(changes int) error {
	var endpoints []edgetest.Endpoint
	for _, p := range d.pods {
		if p.terminating {
			endpoints = append(endpoints, edgetest.Terminating(p.Pod)...)
		} else {
			endpoints = append(endpoints, edgetest.Ready(p.Pod)...)
		}
	}
	d.shop.tally.add(changes, 0)
	return d.shop.cluster.SetEndpoints(d.name, endpoints...)
}
