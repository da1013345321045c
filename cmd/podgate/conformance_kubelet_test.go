//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"podgate/daemon/edgetest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// podRange is the range of the pods' addresses, and podPort their port.
const (
	podRange = "10.200.0.0/16"
	podPort  = 8080
)

// linger is how long a pod must be without a request after its endpoint was removed,
// before it ends. A preStop hook gives a real pod this time.
const linger = 2 * time.Second

// pod is an application in the cluster.
type pod struct {
	*edgetest.Pod
	failing bool // its readiness probe fails while it terminates
	leaving bool // it is being deleted; guarded by kubelet.mu
}

// kubelet does for pods what kubelet and network of a node do: it starts their
// servers, writes their status, and ends deleted pods as a kubelet does. It may be
// used concurrently.
type kubelet struct {
	api   *realapi.Client
	leave sync.WaitGroup // deleted pods that still run

	added, removed atomic.Int64 // endpoints

	mu        sync.Mutex
	addresses []netip.Addr    // free, the longest unused first
	pods      map[string]*pod // that run, by name
	errs      []error
}

// newKubelet returns a kubelet with so few addresses that they are soon used again, also
// by other Services.
func newKubelet(api *realapi.Client, addresses int) *kubelet {
	k := &kubelet{api: api, pods: map[string]*pod{}}
	for i := range addresses {
		k.addresses = append(k.addresses, netip.AddrFrom4([4]byte{10, 200, byte(1 + i/200), byte(1 + i%200)}))
	}
	return k
}

// close ends all pods.
func (k *kubelet) close() {
	k.leave.Wait()
	for _, p := range k.pods {
		p.Close()
	}
}

// start creates a pod, starts its server, reports it ready and waits for its
// endpoint.
func (k *kubelet) start(ctx context.Context, s *service, serial int) (*pod, error) {
	name := fmt.Sprintf("%s-%d", s.name, serial)
	addr, err := k.address()
	if err != nil {
		return nil, fmt.Errorf("start pod %s: %w", name, err)
	}
	server, err := edgetest.StartPod(edgetest.PodOptions{Name: name, Service: s.key(), Addr: addr, Port: podPort})
	if err != nil {
		return nil, err
	}
	p := &pod{Pod: server, failing: serial%2 == 0}
	k.mu.Lock()
	k.pods[name] = p
	k.mu.Unlock()
	err = k.api.Create(ctx, "/api/v1/namespaces/"+s.namespace+"/pods", realapi.Pod(name, s.name, podPort))
	if err == nil {
		err = k.status(ctx, s.namespace, name, realapi.PodRunning(addr.String()))
	}
	if err != nil {
		return nil, err
	}
	k.added.Add(1)
	return p, k.await(ctx, s, p, func(c *conditions) bool { return c != nil && c.Ready })
}

func (k *kubelet) address() (netip.Addr, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.addresses) == 0 {
		return netip.Addr{}, errors.New("no address is free")
	}
	addr := k.addresses[0]
	k.addresses = k.addresses[1:]
	return addr, nil
}

func (k *kubelet) status(ctx context.Context, namespace, name string, status realapi.Object) error {
	path := "/api/v1/namespaces/" + namespace + "/pods/" + name + "/status"
	return k.api.Do(ctx, http.MethodPatch, path, realapi.MergePatch, realapi.Object{"status": status}, nil)
}

// stop deletes a pod and returns when its endpoint was removed. Its server continues to
// answer until it receives no more requests.
//
// Every second pod fails its readiness probe while it terminates, so that its
// endpoint is first serving, then not, then removed; the others go from serving to
// removed.
func (k *kubelet) stop(ctx context.Context, s *service, p *pod) error {
	k.mu.Lock()
	p.leaving = true
	k.mu.Unlock()
	path := "/api/v1/namespaces/" + s.namespace + "/pods/" + p.Name
	if err := k.api.Do(ctx, http.MethodDelete, path+"?gracePeriodSeconds=30", "", nil, nil); err != nil {
		return err
	}
	if err := k.await(ctx, s, p, func(c *conditions) bool { return c == nil || c.Terminating && !c.Ready }); err != nil {
		return err
	}
	edgetest.Pause(ctx, 200*time.Millisecond)
	if p.failing {
		err := k.status(ctx, s.namespace, p.Name, realapi.Object{"conditions": realapi.PodReady("False")})
		if err != nil {
			return err
		}
		edgetest.Pause(ctx, 200*time.Millisecond)
	}
	if err := k.api.Do(ctx, http.MethodDelete, path+"?gracePeriodSeconds=0", "", nil, nil); err != nil {
		return err
	}
	k.removed.Add(1)
	if err := k.await(ctx, s, p, func(c *conditions) bool { return c == nil }); err != nil {
		return err
	}
	k.leave.Go(func() { k.end(ctx, p) })
	return nil
}

// end ends the server of a pod whose endpoint was removed, and frees its address.
func (k *kubelet) end(ctx context.Context, p *pod) {
	leaving, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	p.Leave(leaving, linger)
	k.mu.Lock()
	defer k.mu.Unlock()
	if leaving.Err() != nil && ctx.Err() == nil {
		k.errs = append(k.errs, fmt.Errorf("pod %s of %s still receives requests 20s after its endpoint was removed", p.Name, p.Service))
	}
	p.Close()
	delete(k.pods, p.Name)
	k.addresses = append(k.addresses, p.Addr.Addr())
}

// stays reports whether a pod runs and is not being deleted.
func (k *kubelet) stays(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pods[name]
	return p != nil && !p.leaving
}

// conditions are those of an endpoint.
type conditions struct{ Ready, Serving, Terminating bool }

// endpoints returns the endpoints that the EndpointSlices of a Service hold, by
// address.
func (k *kubelet) endpoints(ctx context.Context, s *service) (map[string]*conditions, error) {
	var list struct {
		Items []struct {
			Endpoints []struct {
				Addresses  []string
				Conditions conditions
			}
		}
	}
	path := "/apis/discovery.k8s.io/v1/namespaces/" + s.namespace + "/endpointslices?labelSelector=kubernetes.io/service-name%3D" + s.name
	if err := k.api.Do(ctx, http.MethodGet, path, "", nil, &list); err != nil {
		return nil, err
	}
	all := map[string]*conditions{}
	for _, slice := range list.Items {
		for _, e := range slice.Endpoints {
			all[e.Addresses[0]] = &e.Conditions
		}
	}
	return all, nil
}

// await waits until ok is true for the endpoint of a pod, nil if it is in no
// EndpointSlice.
func (k *kubelet) await(ctx context.Context, s *service, p *pod, ok func(*conditions) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		all, err := k.endpoints(ctx, s)
		c := all[p.Addr.Addr().String()]
		if err == nil && ok(c) {
			return nil
		}
		if !edgetest.Pause(ctx, 100*time.Millisecond) {
			return fmt.Errorf("wait for the endpoint of pod %s: it is %+v, %v", p.Name, c, err)
		}
	}
}
