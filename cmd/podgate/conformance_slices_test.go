//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"podgate/kubeapi/kubeapitest/realapi"
)

// condition is what an EndpointSlice says of one address.
type condition struct {
	ready, serving, terminating bool
}

// endpointSlices follows the EndpointSlices of the cluster, as podgate does: it is how
// the test knows that an endpoint has come or gone. It may be used concurrently.
type endpointSlices struct {
	api *realapi.Client

	mu       sync.Mutex
	services map[string]map[string]map[string]condition // by namespace/Service, slice and address
	news     chan struct{}                              // closed and made anew with every change
	changes  changes
}

// changes counts what happened to endpoints.
type changes struct {
	added   int // an address came into a Service
	removed int // an address left a Service
	turned  int // ready, serving or terminating changed
}

func newEndpointSlices(a *realapi.Client) *endpointSlices {
	return &endpointSlices{api: a, services: map[string]map[string]map[string]condition{}, news: make(chan struct{})}
}

// endpointSlice is the part of the API object that matters here.
type endpointSlice struct {
	Metadata struct {
		Namespace, Name, ResourceVersion string
		Labels                           map[string]string
	}
	Endpoints []struct {
		Addresses  []string
		Conditions struct{ Ready, Serving, Terminating bool }
	}
}

// follow lists and watches until ctx ends. An API server that is away is tried
// again.
func (s *endpointSlices) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if version, err := s.list(ctx); err == nil {
			s.watch(ctx, version) // ends with the stream, whatever the cause
		}
		pause(ctx, 100*time.Millisecond)
	}
}

const slicesPath = "/apis/discovery.k8s.io/v1/endpointslices"

func (s *endpointSlices) list(ctx context.Context) (version string, err error) {
	var list struct {
		Metadata struct{ ResourceVersion string }
		Items    []endpointSlice
	}
	if err := s.api.Do(ctx, http.MethodGet, slicesPath, "", nil, &list); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.services
	s.services = map[string]map[string]map[string]condition{}
	for i := range list.Items {
		s.set(&list.Items[i])
	}
	for service := range before {
		s.count(merge(before[service]), merge(s.services[service]))
	}
	for service := range s.services {
		if _, known := before[service]; !known {
			s.count(nil, merge(s.services[service]))
		}
	}
	return list.Metadata.ResourceVersion, nil
}

func (s *endpointSlices) watch(ctx context.Context, version string) error {
	stream, err := s.api.Open(ctx, http.MethodGet, slicesPath+"?watch=1&resourceVersion="+version, "", nil)
	if err != nil {
		return err
	}
	defer stream.Close()
	for events := json.NewDecoder(stream); ; {
		var event struct {
			Type   string
			Object endpointSlice
		}
		if err := events.Decode(&event); err != nil {
			return err
		}
		if event.Type == "ERROR" {
			return fmt.Errorf("the watch ended with an error")
		}
		s.mu.Lock()
		service := serviceOf(&event.Object)
		before := merge(s.services[service])
		if event.Type == "DELETED" {
			delete(s.services[service], event.Object.Metadata.Name)
		} else {
			s.set(&event.Object)
		}
		s.count(before, merge(s.services[service]))
		s.mu.Unlock()
	}
}

func serviceOf(slice *endpointSlice) string {
	return slice.Metadata.Namespace + "/" + slice.Metadata.Labels["kubernetes.io/service-name"]
}

// set replaces one slice.
func (s *endpointSlices) set(slice *endpointSlice) {
	addresses := map[string]condition{}
	for _, e := range slice.Endpoints {
		c := e.Conditions
		addresses[e.Addresses[0]] = condition{c.Ready, c.Serving, c.Terminating}
	}
	service := serviceOf(slice)
	if s.services[service] == nil {
		s.services[service] = map[string]map[string]condition{}
	}
	s.services[service][slice.Metadata.Name] = addresses
}

// merge returns the addresses of all slices of a Service.
func merge(slices map[string]map[string]condition) map[string]condition {
	all := map[string]condition{}
	for _, addresses := range slices {
		maps.Copy(all, addresses)
	}
	return all
}

func (s *endpointSlices) count(before, after map[string]condition) {
	was := s.changes
	for address, have := range after {
		switch old, known := before[address]; {
		case !known:
			s.changes.added++
		case old != have:
			s.changes.turned++
		}
	}
	for address := range before {
		if _, still := after[address]; !still {
			s.changes.removed++
		}
	}
	if s.changes != was {
		close(s.news)
		s.news = make(chan struct{})
	}
}

// counted returns how much has happened so far.
func (s *endpointSlices) counted() changes {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// of returns the endpoints of a Service, by address.
func (s *endpointSlices) of(service string) map[string]condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return merge(s.services[service])
}

// wait returns once the endpoint of a Service is as ok wants it. An address that
// no slice holds is told by its second argument.
func (s *endpointSlices) wait(ctx context.Context, service, address string, ok func(c condition, present bool) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		s.mu.Lock()
		news := s.news
		c, present := merge(s.services[service])[address]
		s.mu.Unlock()
		if ok(c, present) {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("wait for endpoint %s of %s: it stays at present=%v %+v", address, service, present, c)
		}
	}
}
