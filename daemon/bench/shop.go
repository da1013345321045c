// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"

	"podgate/daemon/edgetest"
	"podgate/kubeapi"
)

const portName = "web"

func serviceName(i int) string { return fmt.Sprintf("svc-%05d", i) }

// backendName returns the name of the backend of a Service.
func backendName(service string) string { return edgetest.Namespace + "_" + service + "_80" }

// shop is a cluster of some size and its pods.
type shop struct {
	*edgetest.Cluster
	size size
	pods *edgetest.Pods
}

// openShop returns a cluster that was filled before it was started.
func openShop(s size) (shop, error) {
	pods, err := edgetest.StartPods()
	if err != nil {
		return shop{}, err
	}
	c := shop{edgetest.NewCluster(), s, pods}
	for i := range s.services {
		if err := c.addService(serviceName(i), s.pods); err != nil {
			c.close()
			return shop{}, err
		}
	}
	return c, c.Start("")
}

func (c shop) close() {
	if c.pods != nil {
		c.Stop()
		c.pods.Close()
	}
}

// addService creates a Service with n new pods.
func (c shop) addService(name string, n int) error {
	return errors.Join(c.PutService(edgetest.Service(name, nil)), c.setPods(name, c.pods.Next(name, n)...))
}

// setPods writes the EndpointSlice of a Service, with ready pods. The references to the
// pods are as long as real ones.
func (c shop) setPods(service string, pods ...netip.AddrPort) error {
	endpoints := make([]kubeapi.Endpoint, len(pods))
	for i, addr := range pods {
		endpoints[i] = kubeapi.Endpoint{Addr: addr.Addr(), Ready: true, Serving: true, Pod: "pod-" + addr.Addr().String()}
	}
	return c.SetSlice(kubeapi.EndpointSlice{
		Key:       kubeapi.Key{Namespace: edgetest.Namespace, Name: service + "-1"},
		Service:   service,
		Ports:     []kubeapi.EndpointPort{{Name: portName, Protocol: "TCP", Port: c.pods.Port}},
		Endpoints: endpoints,
	})
}

// replacePod replaces the first pod of the i-th Service, modulo their number.
func (c shop) replacePod(i int) error {
	i %= c.size.services
	return c.replacePodWith(i, c.pods.Next(serviceName(i), 1)[0])
}

// replacePodWith replaces the first pod of the i-th Service.
func (c shop) replacePodWith(i int, first netip.AddrPort) error {
	all := []netip.AddrPort{first}
	for n := 1; n < c.size.pods; n++ {
		all = append(all, c.pods.Nth(i*c.size.pods+n+1))
	}
	return c.setPods(serviceName(i), all...)
}
