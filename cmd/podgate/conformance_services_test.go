//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"podgate/daemon/edgetest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// service is a Service with a selector, and its pods, which it scales and rolls as
// a Deployment does. One goroutine at a time may change it.
type service struct {
	namespace, name string
	annotations     map[string]string // without the prefix
	replicas        int               // at first
	host            string            // "" for any
	path, strip     string
	port            uint16 // of a TCP frontend; zero for HTTP

	pods   []*pod
	serial int    // of the next pod
	remove func() // ends the requests of the clients; nil before the first one
}

// plain is a Service without annotations, reached by its name.
func plain(namespace, name string, replicas int) *service {
	return &service{namespace: namespace, name: name, replicas: replicas, path: "/" + name + "/work", strip: "/" + name}
}

// hosted is a Service that has a host for itself.
func hosted(namespace, name string, replicas int) *service {
	host := name + ".example.com"
	return &service{namespace: namespace, name: name, replicas: replicas, host: host, path: "/work", annotations: map[string]string{"host": host}}
}

// overTCP is a Service with a TCP port of its own.
func overTCP(namespace, name string, replicas int, port uint16) *service {
	return &service{namespace: namespace, name: name, replicas: replicas, path: "/work", port: port, annotations: map[string]string{"tcp": fmt.Sprint(port)}}
}

// lasting returns the Services that exist from start to end.
func lasting() []*service {
	sticky := plain("bank", "portal", 5)
	sticky.annotations = map[string]string{"cookie-sticky-session": "true"}
	paths := plain("shop", "search", 4)
	paths.annotations = map[string]string{"path": "/find,/search/v2", "algorithm": "leastconn"}
	paths.path, paths.strip = "/search/v2/work", ""
	return []*service{
		plain("shop", "cart", 6),
		plain("shop", "catalog", 8),
		plain("shop", "checkout", 1), // has no second pod
		hosted("bank", "ledger", 4),
		sticky,
		paths,
		overTCP("bank", "postgres", 4, 5432),
	}
}

func (s *service) key() string { return s.namespace + "/" + s.name }

// target returns how clients reach the Service. Clients with a cookie must stay with
// the pod that it names.
func (s *service) target(http netip.AddrPort, stays func(string) bool) edgetest.Target {
	if s.port != 0 {
		http = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), s.port)
	}
	return edgetest.Target{
		Service: s.key(), Request: edgetest.Request{Addr: http, Host: s.host, Path: s.path}, Strip: s.strip, TCP: s.port != 0, Stays: stays,
	}
}

// create creates the Service and its pods, and adds it to the targets of the clients
// once it answers.
func (s *story) create(ctx context.Context, one *service) error {
	annotations := realapi.Object{}
	for key, value := range one.annotations {
		annotations["serviceloadbalancer/lb."+key] = value
	}
	err := s.cluster.Admin.Create(ctx, "/api/v1/namespaces/"+one.namespace+"/services", realapi.Object{
		"apiVersion": "v1",
		"kind":       "Service",
		"metadata":   realapi.Object{"name": one.name, "annotations": annotations},
		"spec": realapi.Object{
			"selector": realapi.Object{"app": one.name},
			// The target port is a name: podgate has to find its number in the slices.
			"ports": []realapi.Object{{"name": "http", "port": 80, "targetPort": "web"}},
		},
	})
	if err != nil {
		return err
	}
	return errors.Join(s.scale(ctx, one, one.replicas), s.addLoad(ctx, one))
}

// addLoad adds the Service to the targets of the clients once it answers.
func (s *story) addLoad(ctx context.Context, one *service) (err error) {
	one.remove, err = s.load.Add(ctx, one.target(s.edge.HTTP, s.kubelet.stays))
	return err
}

// delete deletes the Service, then its pods, and waits until it no longer answers.
func (s *story) delete(ctx context.Context, one *service) error {
	one.remove()
	path := "/api/v1/namespaces/" + one.namespace + "/services/" + one.name
	if err := s.cluster.Admin.Do(ctx, http.MethodDelete, path, "", nil, nil); err != nil {
		return err
	}
	if err := s.scale(ctx, one, 0); err != nil {
		return err
	}
	return edgetest.Await(ctx, one.key()+" is removed", func() error {
		err := edgetest.Ask(one.target(s.edge.HTTP, nil))
		if one.port == 0 && errors.Is(err, edgetest.StatusError(http.StatusNotFound)) || one.port != 0 && err != nil && !isStatus(err) {
			return nil // the port of a TCP Service is closed
		}
		return fmt.Errorf("it still answers: %w", err)
	})
}

func isStatus(err error) bool {
	var status edgetest.StatusError
	return errors.As(err, &status)
}

// scale starts or stops pods, all at the same time, and returns when the slices show it.
func (s *story) scale(ctx context.Context, one *service, replicas int) error {
	if n := len(one.pods) - replicas; n > 0 {
		removed := one.pods[:n]
		one.pods = one.pods[n:]
		return concurrently(removed, func(p *pod) error { return s.kubelet.stop(ctx, one, p) })
	}
	started := make([]*pod, replicas-len(one.pods))
	indices := make([]int, len(started))
	for i := range indices {
		indices[i] = i
	}
	err := concurrently(indices, func(i int) (err error) {
		started[i], err = s.kubelet.start(ctx, one, one.serial+i)
		return err
	})
	one.serial += len(started)
	one.pods = append(one.pods, started...)
	return err
}

// roll replaces the pods one by one: each is deleted once the endpoint of its replacement
// exists.
func (s *story) roll(ctx context.Context, one *service) error {
	for range len(one.pods) {
		if err := s.scale(ctx, one, len(one.pods)+1); err != nil {
			return err
		}
		if err := s.scale(ctx, one, len(one.pods)-1); err != nil {
			return err
		}
	}
	return nil
}

// reached waits until every pod has answered a request.
func (s *service) reached(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for _, p := range s.pods {
		for p.Served() == 0 {
			if !edgetest.Pause(ctx, 10*time.Millisecond) {
				return fmt.Errorf("pod %s of %s at %s received no request within %v", p.Name, s.key(), p.Addr, within)
			}
		}
	}
	return nil
}

// concurrently calls f for each of all, and returns all errors.
func concurrently[T any](all []T, f func(T) error) error {
	errs := make(chan error)
	for _, one := range all {
		go func() { errs <- f(one) }()
	}
	var failed []error
	for range all {
		failed = append(failed, <-errs)
	}
	return errors.Join(failed...)
}
