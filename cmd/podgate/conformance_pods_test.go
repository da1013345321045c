//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"podgate/kubeapi/kubeapitest/realapi"
)

// podRange is the range that the pods' addresses are taken from.
const podRange = "10.200.0.0/16"

// podPort is the port that all pods listen on. Their addresses differ.
const podPort = 8080

// pod is an application: a real server on an address of its own, which names
// its Service and itself in every answer.
type pod struct {
	service string // namespace/name
	name    string
	address string
	failing bool      // its readiness probe fails while it terminates
	ready   time.Time // its endpoint was seen in a slice; set before it is shared

	served  atomic.Int64 // requests answered, for TCP lines
	active  atomic.Int64 // requests running, for TCP connections open
	leaving atomic.Bool  // it is being deleted
	first   atomic.Int64 // when the first request came, in Unix nanoseconds; zero before
	gone    atomic.Int64 // when its endpoint had left the slices; zero before
	latest  atomic.Int64 // how long after gone the last request came, in nanoseconds

	listener net.Listener
	http     *http.Server // nil for TCP
}

// listen starts the pod's server: HTTP, or a line protocol when tcp is asked for.
func (p *pod) listen(protocol string) error {
	var err error
	p.listener, err = net.Listen("tcp", net.JoinHostPort(p.address, strconv.Itoa(podPort)))
	if err != nil {
		return err
	}
	if protocol == "tcp" {
		go p.serveLines()
		return nil
	}
	p.http = &http.Server{Handler: http.HandlerFunc(p.serveHTTP)}
	go p.http.Serve(p.listener) // ends with shutdown
	return nil
}

// arrived notes a request.
func (p *pod) arrived() {
	p.first.CompareAndSwap(0, time.Now().UnixNano())
	if gone := p.gone.Load(); gone != 0 {
		p.latest.Store(time.Now().UnixNano() - gone)
	}
}

// serveHTTP answers after the time and with the size that the query asks for.
func (p *pod) serveHTTP(w http.ResponseWriter, r *http.Request) {
	p.active.Add(1)
	defer p.active.Add(-1)
	p.arrived()
	defer p.served.Add(1)

	read, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return // the client or HAProxy went away; who asked sees it
	}
	query := r.URL.Query()
	if ms, err := strconv.Atoi(query.Get("ms")); err == nil {
		pause(r.Context(), time.Duration(ms)*time.Millisecond)
	}
	size, err := strconv.Atoi(query.Get("size"))
	if err != nil {
		size = 200
	}
	header := w.Header()
	header.Set("Pod-Service", p.service)
	header.Set("Pod-Name", p.name)
	header.Set("Pod-Path", r.URL.Path)
	header.Set("Pod-Read", strconv.FormatInt(read, 10))
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Length", strconv.Itoa(size))
	chunk := make([]byte, 8192)
	for size > 0 {
		n, err := w.Write(chunk[:min(size, len(chunk))])
		if err != nil {
			return
		}
		size -= n
	}
}

// serveLines answers every line with "service pod line".
func (p *pod) serveLines() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed by shutdown
		}
		p.active.Add(1)
		go func() {
			defer p.active.Add(-1)
			defer conn.Close()
			for lines := bufio.NewScanner(conn); lines.Scan(); p.served.Add(1) {
				p.arrived()
				fmt.Fprintf(conn, "%s %s %s\n", p.service, p.name, lines.Text())
			}
		}()
	}
}

// shutdown ends the server. What still runs may end first, as long as ctx lasts.
func (p *pod) shutdown(ctx context.Context) error {
	if p.http != nil {
		return p.http.Shutdown(ctx)
	}
	return p.listener.Close()
}

// kubelet plays the parts that a node's kubelet and network play for pods: it
// starts their servers, tells the API server of their state, and takes a deleted
// pod down the way a kubelet does. It may be used concurrently.
type kubelet struct {
	api    *realapi.Client
	slices *endpointSlices
	leave  sync.WaitGroup // servers of deleted pods that still run

	mu        sync.Mutex
	addresses []string        // free, the longest unused first
	pods      map[string]*pod // all that run, by name
	ended     []*pod
	errs      []error
}

// linger is how long a server stays after its endpoint has left the slices: what
// a preStop hook or an application's own patience gives.
const linger = 2 * time.Second

// newKubelet hands out only so many addresses, so that they are soon used again,
// by other Services too.
func newKubelet(a *realapi.Client, s *endpointSlices, addresses int) *kubelet {
	k := &kubelet{api: a, slices: s, pods: map[string]*pod{}}
	for i := range addresses {
		k.addresses = append(k.addresses, fmt.Sprintf("10.200.%d.%d", 1+i/200, 1+i%200))
	}
	return k
}

// start creates a pod, starts its server, reports it ready and waits for its
// endpoint.
func (k *kubelet) start(ctx context.Context, s *service, serial int) (*pod, error) {
	name := fmt.Sprintf("%s-%d", s.name, serial)
	k.mu.Lock()
	if len(k.addresses) == 0 {
		k.mu.Unlock()
		return nil, fmt.Errorf("start pod %s: no address is free", name)
	}
	address := k.addresses[0]
	k.addresses = k.addresses[1:]
	k.mu.Unlock()

	p := &pod{service: s.key(), name: name, address: address, failing: serial%2 == 0}
	if err := p.listen(s.protocol); err != nil {
		return nil, err
	}
	err := k.api.Create(ctx, "/api/v1/namespaces/"+s.namespace+"/pods", realapi.Object{
		"apiVersion": "v1",
		"kind":       "Pod",
		"metadata":   realapi.Object{"name": name, "labels": realapi.Object{"app": s.name}},
		"spec": realapi.Object{
			"nodeName":                     realapi.NodeName, // no scheduler runs
			"automountServiceAccountToken": false,
			"containers": []realapi.Object{{
				"name": "app", "image": "app",
				"ports": []realapi.Object{{"name": "web", "containerPort": podPort}},
			}},
		},
	})
	if err != nil {
		return nil, err
	}
	err = k.status(ctx, s.namespace, name, realapi.Object{
		"phase":      "Running",
		"podIP":      address,
		"podIPs":     []realapi.Object{{"ip": address}},
		"conditions": []realapi.Object{{"type": "Ready", "status": "True"}},
	})
	if err != nil {
		return nil, err
	}
	err = k.slices.wait(ctx, p.service, address, func(c condition, present bool) bool { return present && c.ready })
	if err != nil {
		return nil, err
	}
	p.ready = time.Now()
	k.mu.Lock()
	k.pods[name] = p
	k.mu.Unlock()
	return p, nil
}

func (k *kubelet) status(ctx context.Context, namespace, name string, status realapi.Object) error {
	path := "/api/v1/namespaces/" + namespace + "/pods/" + name + "/status"
	return k.api.Do(ctx, http.MethodPatch, path, realapi.MergePatch, realapi.Object{"status": status}, nil)
}

// stop deletes a pod and returns when its endpoint is gone. Its server answers
// on until then, until its requests have ended, and for linger.
//
// Every second pod fails its readiness probe while it terminates, so that its
// endpoint is first serving, then not, then gone; the others go from serving to
// gone.
func (k *kubelet) stop(ctx context.Context, s *service, p *pod) error {
	p.leaving.Store(true)
	path := "/api/v1/namespaces/" + s.namespace + "/pods/" + p.name
	if err := k.api.Do(ctx, http.MethodDelete, path+"?gracePeriodSeconds=30", "", nil, nil); err != nil {
		return err
	}
	err := k.slices.wait(ctx, p.service, p.address, func(c condition, present bool) bool {
		return !present || c.terminating && !c.ready
	})
	if err != nil {
		return err
	}
	pause(ctx, 200*time.Millisecond)
	if p.failing {
		err := k.status(ctx, s.namespace, p.name, realapi.Object{"conditions": []realapi.Object{{"type": "Ready", "status": "False"}}})
		if err != nil {
			return err
		}
		pause(ctx, 200*time.Millisecond)
	}
	if err := k.api.Do(ctx, http.MethodDelete, path+"?gracePeriodSeconds=0", "", nil, nil); err != nil {
		return err
	}
	err = k.slices.wait(ctx, p.service, p.address, func(_ condition, present bool) bool { return !present })
	if err != nil {
		return err
	}
	p.gone.Store(time.Now().UnixNano())
	k.leave.Add(1)
	go func() {
		defer k.leave.Done()
		k.takeDown(ctx, p)
	}()
	return nil
}

// takeDown ends the server of a pod that is gone and frees its address.
func (k *kubelet) takeDown(ctx context.Context, p *pod) {
	pause(ctx, linger)
	for limit := time.Now().Add(20 * time.Second); p.active.Load() > 0 && time.Now().Before(limit); {
		pause(ctx, 10*time.Millisecond)
	}
	if ctx.Err() != nil {
		return // the test is over; the server ends with it
	}
	var err error
	if n := p.active.Load(); n > 0 {
		err = fmt.Errorf("pod %s of %s: %d requests have not ended 20s after its endpoint was gone", p.name, p.service, n)
	}
	p.shutdown(ctx) // the listener is closed even where it returns an error
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.errs = append(k.errs, err)
	}
	delete(k.pods, p.name)
	k.ended = append(k.ended, p)
	k.addresses = append(k.addresses, p.address)
}

// stays reports whether a pod runs and is not being deleted.
func (k *kubelet) stays(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pods[name]
	return p != nil && !p.leaving.Load()
}

// firstRequests returns how long the pods so far waited for their first request,
// from when their endpoint was seen.
func (k *kubelet) firstRequests() []time.Duration {
	var all []time.Duration
	for _, p := range k.everyone() {
		if first := p.first.Load(); first != 0 && !p.ready.IsZero() {
			all = append(all, max(0, time.Duration(first-p.ready.UnixNano())))
		}
	}
	return all
}

// lastRequests returns, of the pods that have gone, how long after their endpoint
// the last request came; zero where none did.
func (k *kubelet) lastRequests() []time.Duration {
	var all []time.Duration
	for _, p := range k.everyone() {
		if p.gone.Load() != 0 {
			all = append(all, time.Duration(p.latest.Load()))
		}
	}
	return all
}

func (k *kubelet) everyone() []*pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := append([]*pod(nil), k.ended...)
	for _, p := range k.pods {
		all = append(all, p)
	}
	return all
}
