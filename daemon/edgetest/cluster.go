// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"podgate/daemon/compile"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// Namespace is the namespace of the Services.
const Namespace = "shop"

// portName is the name of every Service's port.
const portName = "web"

// Cluster is a fake API server with Services and EndpointSlices of one namespace, in the
// form in which Kubernetes' controllers write them. Its methods may be called
// concurrently, except SetEndpoints for the same Service.
type Cluster struct {
	*kubeapitest.Server

	mu     sync.Mutex
	slices map[string]map[uint16]bool // ports that a Service has a slice for
}

// StartCluster returns an empty cluster that serves until Stop.
func StartCluster() (*Cluster, error) {
	c := NewCluster()
	return c, c.Start("")
}

// NewCluster returns an empty cluster that is not started.
func NewCluster() *Cluster {
	return &Cluster{Server: kubeapitest.New(), slices: map[string]map[uint16]bool{}}
}

// PutService creates or replaces a Service, whose annotations are given without
// their prefix. The defaults are Namespace, type ClusterIP and port 80.
func (c *Cluster) PutService(svc kubeapi.Service) error {
	svc.Namespace = cmp.Or(svc.Namespace, Namespace)
	svc.Type = cmp.Or(svc.Type, "ClusterIP")
	if svc.Ports == nil {
		svc.Ports = []kubeapi.ServicePort{{Name: portName, Protocol: "TCP", Port: 80}}
	}
	if svc.Annotations != nil {
		annotations := make(map[string]string, len(svc.Annotations))
		for key, value := range svc.Annotations {
			annotations[compile.Prefix+key] = value
		}
		svc.Annotations = annotations
	}
	return c.SetService(svc)
}

// Service returns a Service for PutService.
func Service(name string, annotations map[string]string) kubeapi.Service {
	return kubeapi.Service{Key: kubeapi.Key{Name: name}, Annotations: annotations}
}

// Endpoint is a pod as an EndpointSlice shows it.
type Endpoint struct {
	Addr        netip.AddrPort
	Pod         string
	Ready       bool
	Serving     bool
	Terminating bool
}

// Ready shows pods as ready.
func Ready(pods ...*Pod) []Endpoint {
	endpoints := make([]Endpoint, len(pods))
	for i, p := range pods {
		endpoints[i] = Endpoint{Addr: p.Addr, Pod: p.Name, Ready: true, Serving: true}
	}
	return endpoints
}

// ReadyAt shows pods at these addresses as ready.
func ReadyAt(addrs ...netip.AddrPort) []Endpoint {
	endpoints := make([]Endpoint, len(addrs))
	for i, addr := range addrs {
		endpoints[i] = Endpoint{Addr: addr, Pod: "pod-" + addr.Addr().String(), Ready: true, Serving: true}
	}
	return endpoints
}

// Terminating shows pods as terminating: they still serve.
func Terminating(pods ...*Pod) []Endpoint {
	endpoints := Ready(pods...)
	for i := range endpoints {
		endpoints[i].Ready, endpoints[i].Terminating = false, true
	}
	return endpoints
}

// SetEndpoints replaces the endpoints of a Service, one EndpointSlice for each
// port that they listen on.
func (c *Cluster) SetEndpoints(service string, endpoints ...Endpoint) error {
	byPort := map[uint16][]kubeapi.Endpoint{}
	for _, e := range endpoints {
		byPort[e.Addr.Port()] = append(byPort[e.Addr.Port()], kubeapi.Endpoint{
			Addr: e.Addr.Addr(), Pod: e.Pod, Ready: e.Ready, Serving: e.Serving, Terminating: e.Terminating,
		})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.slices[service]
	c.slices[service] = map[uint16]bool{}
	var errs []error
	for port, some := range byPort {
		c.slices[service][port] = true
		errs = append(errs, c.SetSlice(kubeapi.EndpointSlice{
			Key: SliceOf(service, port), Service: service, AddressType: "IPv4",
			Ports:     []kubeapi.EndpointPort{{Name: portName, Protocol: "TCP", Port: port}},
			Endpoints: some,
		}))
	}
	for port := range old {
		if byPort[port] == nil {
			c.Delete("EndpointSlice", Namespace, SliceOf(service, port).Name)
		}
	}
	return errors.Join(errs...)
}

// SliceOf names the EndpointSlice of a Service for one port.
func SliceOf(service string, port uint16) kubeapi.Key {
	return kubeapi.Key{Namespace: Namespace, Name: fmt.Sprintf("%s-%d", service, port)}
}

// RemoveService deletes a Service. Its EndpointSlices stay until SetEndpoints.
func (c *Cluster) RemoveService(name string) { c.Delete("Service", Namespace, name) }
