// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"podgate/daemon/edgetest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// fillWriters is how many goroutines write to a real API server in parallel.
const fillWriters = 8

const (
	// realPods has the addresses of the pods of fillReal, and realPort is their port.
	realPods = "10.0.0.0/11"
	realPort = 8080
)

// answerChecks accepts connections to realPort on all addresses of this machine until stop
// is called, so that health checks of the pods succeed.
func answerChecks() (stop func(), err error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: realPort})
	if err != nil {
		return nil, err
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			_ = conn.Close() // the check has succeeded
		}
	})
	return func() { _ = l.Close(); accepting.Wait() }, nil
}

// fillReal creates all Services and EndpointSlices in a real API server, as its
// controller writes them.
func fillReal(ctx context.Context, admin *realapi.Client, s size) error {
	type object = realapi.Object
	err := admin.Create(ctx, "/api/v1/namespaces", object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": edgetest.Namespace}})
	if err != nil {
		return err
	}
	create := func(i int) error {
		name := serviceName(i)
		err := admin.Create(ctx, "/api/v1/namespaces/"+edgetest.Namespace+"/services", object{
			"apiVersion": "v1", "kind": "Service",
			"metadata": object{"name": name, "labels": object{"app": name}, "annotations": object{"serviceloadbalancer/lb.host": name + ".example.com"}},
			"spec":     object{"ports": []object{{"name": portName, "port": 80, "targetPort": portName}}},
		})
		if err != nil {
			return err
		}
		var endpoints []object
		for n := range s.pods {
			endpoints = append(endpoints, object{
				"addresses":  []string{fmt.Sprintf("10.%d.%d.%d", i>>8, i&0xff, n+1)},
				"conditions": object{"ready": true, "serving": true, "terminating": false},
				"nodeName":   fmt.Sprintf("node-%03d", (i+n)%200),
				"targetRef":  object{"kind": "Pod", "namespace": edgetest.Namespace, "name": fmt.Sprintf("%s-6d4b75cb6d-%05d", name, n), "uid": fmt.Sprintf("5c1f4b1e-0000-4000-8000-%06d%06d", i, n)},
				"zone":       fmt.Sprintf("zone-%d", n%3),
			})
		}
		return admin.Create(ctx, "/apis/discovery.k8s.io/v1/namespaces/"+edgetest.Namespace+"/endpointslices", object{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
			"metadata": object{
				"name": name + "-abcde", "generateName": name + "-",
				"labels": object{"app": name, "endpointslice.kubernetes.io/managed-by": "bench", "kubernetes.io/service-name": name},
			},
			"ports":     []object{{"name": portName, "protocol": "TCP", "port": realPort}},
			"endpoints": endpoints,
		})
	}
	var next atomic.Int64
	errs := make([]error, fillWriters)
	var writers sync.WaitGroup
	for w := range errs {
		writers.Go(func() {
			for i := int(next.Add(1)) - 1; i < s.services && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = create(i)
			}
		})
	}
	writers.Wait()
	return errors.Join(errs...)
}

// scope implements the part of testing.TB that realapi needs.
type scope struct {
	ctx     context.Context
	cleanup []func()
	failed  bool
}

// fatal is the value that Fatal panics with.
type fatal string

// within runs do with a scope, and ends the scope.
func within(ctx context.Context, do func(*scope) error) (err error) {
	s := &scope{ctx: ctx}
	defer func() {
		if text, ok := recover().(fatal); ok {
			err = errors.New(string(text))
		}
		s.failed = err != nil
		for _, f := range s.cleanup {
			defer f()
		}
	}()
	return do(s)
}

func (s *scope) Helper()                           {}
func (s *scope) Cleanup(f func())                  { s.cleanup = append(s.cleanup, f) }
func (s *scope) Context() context.Context          { return s.ctx }
func (s *scope) Failed() bool                      { return s.failed }
func (s *scope) Logf(format string, args ...any)   { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (s *scope) Fatal(args ...any)                 { panic(fatal(fmt.Sprint(args...))) }
func (s *scope) Fatalf(format string, args ...any) { panic(fatal(fmt.Sprintf(format, args...))) }

func (s *scope) TempDir() string {
	dir, err := os.MkdirTemp("", "podgate-bench")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
