//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"podgate/kubeapi/kubeapitest/realapi"
)

// service is a Service with a selector and the pods behind it, which it scales
// and rolls as a Deployment does. One goroutine at a time may change it.
type service struct {
	namespace, name string
	annotations     map[string]string // without the prefix
	protocol        string            // "http" or "tcp"
	replicas        int
	target          *target // where the load reaches it

	kubelet *kubelet
	pods    []*pod
	serial  int // of the next pod
}

func (s *service) key() string { return s.namespace + "/" + s.name }

// create creates the Service and its pods.
func (s *service) create(ctx context.Context) error {
	annotations := realapi.Object{}
	for key, value := range s.annotations {
		annotations["serviceloadbalancer/lb."+key] = value
	}
	err := s.kubelet.api.Create(ctx, "/api/v1/namespaces/"+s.namespace+"/services", realapi.Object{
		"apiVersion": "v1",
		"kind":       "Service",
		"metadata":   realapi.Object{"name": s.name, "annotations": annotations},
		"spec": realapi.Object{
			"selector": realapi.Object{"app": s.name},
			// By name: podgate has to take the number from the slices.
			"ports": []realapi.Object{{"name": "http", "port": 80, "targetPort": "web"}},
		},
	})
	if err != nil {
		return err
	}
	return s.scale(ctx, s.replicas)
}

// remove deletes the Service, then its pods.
func (s *service) remove(ctx context.Context) error {
	path := "/api/v1/namespaces/" + s.namespace + "/services/" + s.name
	if err := s.kubelet.api.Do(ctx, http.MethodDelete, path, "", nil, nil); err != nil {
		return err
	}
	return s.scale(ctx, 0)
}

// scale starts or stops pods, all at once, and returns when the slices say so.
func (s *service) scale(ctx context.Context, replicas int) error {
	if n := len(s.pods) - replicas; n > 0 {
		leaving := s.pods[:n]
		s.pods = s.pods[n:]
		return atOnce(len(leaving), func(i int) error { return s.kubelet.stop(ctx, s, leaving[i]) })
	}
	started := make([]*pod, replicas-len(s.pods))
	err := atOnce(len(started), func(i int) error {
		var err error
		started[i], err = s.kubelet.start(ctx, s, s.serial+i)
		return err
	})
	s.serial += len(started)
	s.pods = append(s.pods, started...)
	return err
}

// roll replaces every pod, one by one: the new one's endpoint is there before
// the old one is deleted.
func (s *service) roll(ctx context.Context) error {
	for range len(s.pods) {
		if err := s.scale(ctx, len(s.pods)+1); err != nil {
			return err
		}
		if err := s.scale(ctx, len(s.pods)-1); err != nil {
			return err
		}
	}
	return nil
}

// reached waits until every pod has had a request of the load.
func (s *service) reached(ctx context.Context, within time.Duration) error {
	deadline := time.Now().Add(within)
	for _, p := range s.pods {
		for p.served.Load() == 0 {
			if time.Now().After(deadline) {
				return fmt.Errorf("pod %s of %s (%s) has had no request %v after its endpoint came", p.name, s.key(), p.address, within)
			}
			pause(ctx, 10*time.Millisecond)
		}
	}
	return nil
}

// atOnce calls f with 0 to n-1 concurrently and returns all errors.
func atOnce(n int, f func(i int) error) error {
	errs := make(chan error)
	for i := range n {
		go func() { errs <- f(i) }()
	}
	var all []error
	for range n {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// forEach calls f with all Services concurrently and returns all errors.
func forEach(services []*service, f func(s *service) error) error {
	return atOnce(len(services), func(i int) error { return f(services[i]) })
}
