// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"podgate/daemon/compile"
	"podgate/kubeapi"
)

// portName is the name of every Service's port.
const portName = "web"

// deployment is a Service with its pods and its EndpointSlices. One goroutine
// at a time may change it.
type deployment struct {
	kind
	shop *shop

	mu        sync.Mutex // also held by pods that end
	endpoints []endpoint // oldest first
	written   map[uint16]bool
}

// endpoint is a pod as the EndpointSlices show it.
type endpoint struct {
	pod         *pod
	terminating bool
}

// deploy puts a Service into the cluster, its pods first.
func (s *shop) deploy(ctx context.Context, k kind) (*deployment, error) {
	d := &deployment{kind: k, shop: s, written: map[uint16]bool{}}
	if err := d.change(ctx, k.pods, 0); err != nil {
		return nil, err
	}
	annotations := make(map[string]string, len(k.annotations))
	for key, value := range k.annotations {
		annotations[compile.Prefix+key] = value
	}
	return d, s.api.SetService(kubeapi.Service{
		Key:         kubeapi.Key{Namespace: namespace, Name: k.name},
		Type:        "ClusterIP",
		Annotations: annotations,
		Ports:       []kubeapi.ServicePort{{Name: portName, Protocol: "TCP", Port: 80}},
	})
}

// remove takes the Service and its EndpointSlices away and lets its pods end.
func (d *deployment) remove(ctx context.Context) error {
	d.shop.api.Delete("Service", namespace, d.name)
	return d.change(ctx, 0, d.size())
}

// size returns how many pods are ready.
func (d *deployment) size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, e := range d.endpoints {
		if !e.terminating {
			n++
		}
	}
	return n
}

// roll replaces every pod, one by one and never with fewer ready ones than
// before.
func (d *deployment) roll(ctx context.Context) error {
	for range d.size() {
		if err := d.change(ctx, 1, 0); err != nil {
			return err
		}
		if !pause(ctx, d.shop.pace.settle) {
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

// move replaces all pods at once by as many at other addresses.
func (d *deployment) move(ctx context.Context) error {
	return d.change(ctx, d.size(), d.size())
}

// change shows, all at once, new pods as ready and the oldest ready ones as
// terminating. Those are ended in the background.
func (d *deployment) change(ctx context.Context, add, end int) error {
	fresh := make([]endpoint, add)
	for i := range fresh {
		p, err := d.shop.start(d.kind)
		if err != nil {
			return err
		}
		fresh[i].pod = p
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var ending []*pod
	for i := range d.endpoints {
		if e := &d.endpoints[i]; !e.terminating && len(ending) < end {
			e.terminating = true
			ending = append(ending, e.pod)
		}
	}
	d.endpoints = append(d.endpoints, fresh...)
	if len(ending) > 0 {
		d.shop.leaving.Go(func() { d.end(ctx, ending) })
	}
	return d.publish(add + len(ending))
}

// end is how pods go that are shown as terminating already: they are no longer
// listed, then they are asked no more, then they shut down.
func (d *deployment) end(ctx context.Context, pods []*pod) {
	if !pause(ctx, d.shop.pace.unlisted) {
		return
	}
	d.unlist(pods)
	var leaving sync.WaitGroup
	defer leaving.Wait()
	for _, p := range pods {
		leaving.Go(func() { d.shop.leave(ctx, p) })
	}
}

func (d *deployment) unlist(pods []*pod) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.endpoints = slices.DeleteFunc(d.endpoints, func(e endpoint) bool { return slices.Contains(pods, e.pod) })
	if err := d.publish(len(pods)); err != nil {
		panic(err) // what was written before can be written with less in it
	}
}

// publish writes the EndpointSlices, one for each port that pods listen on, and
// counts the changes. The caller holds d.mu.
func (d *deployment) publish(changes int) error {
	ports := map[uint16][]kubeapi.Endpoint{}
	for _, e := range d.endpoints {
		port := e.pod.addr.Port()
		ports[port] = append(ports[port], kubeapi.Endpoint{
			Addr:        e.pod.addr.Addr(),
			Ready:       !e.terminating,
			Serving:     true,
			Terminating: e.terminating,
			Pod:         e.pod.name,
		})
	}
	var errs []error
	for port, endpoints := range ports {
		d.written[port] = true
		errs = append(errs, d.shop.api.SetSlice(kubeapi.EndpointSlice{
			Key:       kubeapi.Key{Namespace: namespace, Name: d.sliceName(port)},
			Service:   d.name,
			Ports:     []kubeapi.EndpointPort{{Name: portName, Protocol: "TCP", Port: port}},
			Endpoints: endpoints,
		}))
	}
	for port := range d.written {
		if ports[port] == nil {
			d.shop.api.Delete("EndpointSlice", namespace, d.sliceName(port))
			delete(d.written, port)
		}
	}
	d.shop.tally.endpoints(changes)
	return errors.Join(errs...)
}

func (d *deployment) sliceName(port uint16) string { return fmt.Sprintf("%s-%d", d.name, port) }
