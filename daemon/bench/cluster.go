// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"

	"podgate/kubeapi"
)

const (
	namespace = "shop"
	portName  = "web"
)

func serviceName(i int) string { return fmt.Sprintf("svc-%05d", i) }

// fill puts all Services and their pods into the cluster.
func (e *edge) fill() error {
	for i := range e.services {
		if err := e.addService(serviceName(i), e.pods.next(e.size.pods)...); err != nil {
			return err
		}
	}
	return nil
}

// addService puts a Service into the cluster.
func (e *edge) addService(name string, pods ...netip.AddrPort) error {
	s := kubeapi.Service{
		Key:   kubeapi.Key{Namespace: namespace, Name: name},
		Type:  "ClusterIP",
		Ports: []kubeapi.ServicePort{{Name: portName, Protocol: "TCP", Port: 80}},
	}
	if e.tls != noTLS {
		s.Annotations = map[string]string{"serviceloadbalancer/lb.sslTerm": "true", "serviceloadbalancer/lb.host": host(name)}
	}
	if err := e.api.SetService(s); err != nil {
		return err
	}
	return e.setPods(name, pods...)
}

// setPods writes the EndpointSlice of a Service, whose pods are all ready.
func (e *edge) setPods(service string, pods ...netip.AddrPort) error {
	endpoints := make([]kubeapi.Endpoint, len(pods))
	for i, addr := range pods {
		endpoints[i] = ready(addr)
	}
	return e.setEndpoints(service, e.pods.port(), endpoints...)
}

// ready is a pod with the reference to it that real ones have.
func ready(addr netip.AddrPort) kubeapi.Endpoint {
	return kubeapi.Endpoint{Addr: addr.Addr(), Ready: true, Serving: true, Pod: "pod-" + addr.Addr().String()}
}

func (e *edge) setEndpoints(service string, port uint16, endpoints ...kubeapi.Endpoint) error {
	return e.api.SetSlice(kubeapi.EndpointSlice{
		Key:       kubeapi.Key{Namespace: namespace, Name: service + "-1"},
		Service:   service,
		Ports:     []kubeapi.EndpointPort{{Name: portName, Protocol: "TCP", Port: port}},
		Endpoints: endpoints,
	})
}
