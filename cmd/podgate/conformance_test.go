//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"podgate/kubeapi/kubeapitest/realapi"
)

// TestConformance is the proof on real input: a real API server and its
// controllers, real HAProxy, the built podgate with the packaged RBAC manifest,
// Services and pods that come and go under load, and no request that fails.
//
// It needs KUBERNETES, the binary that testdata/kubernetes/build.sh prints, and
// PODGATE, the built podgate; "make conformance" sets both.
func TestConformance(t *testing.T) {
	kubernetes, podgate := realapi.Binary(t, "KUBERNETES"), realapi.Binary(t, "PODGATE")
	if !realapi.InNamespace(t, podRange) {
		return
	}

	s := newStory(t, kubernetes, podgate)
	s.step(t, "the RBAC manifest allows what podgate reads and nothing else", s.accessSuffices)
	s.step(t, "podgate starts and every Service is reached", s.begin)
	s.step(t, "every pod of every Service is replaced, one by one", s.rollInTurn)
	s.step(t, "every pod is replaced again, in all Services at once", s.rollAtOnce)
	s.step(t, "Services are scaled to zero and back", s.scaleToZero)
	s.step(t, "Services are added and removed", s.addAndRemove)
	s.step(t, "Services are added and removed while pods are replaced", s.addWhileRolling)
	s.step(t, "fifty endpoint changes alone reload nothing", s.changeEndpoints)
	s.step(t, "the API server crashes and comes back", s.loseServer)
	s.step(t, "podgate stops and HAProxy serves on", s.stopPodgate)
	s.step(t, "podgate starts and touches nothing where nothing changed", s.restartPodgate)
	s.step(t, "podgate starts before the API server does", s.startBeforeServer)
	s.step(t, "the load reaches its numbers", s.reachNumbers)
	s.step(t, "HAProxy ends with the servers that the slices hold", s.converge)
	s.step(t, "the operator's own section is as it was", s.operatorSection)
	s.end(t)
}

// story is one run of the test.
type story struct {
	began    time.Time
	cluster  *realapi.Cluster
	slices   *endpointSlices
	kubelet  *kubelet
	edge     *edge
	load     *load
	services []*service // that stand from start to end

	created, removed int   // Services
	failed           int64 // requests that an earlier step has told of
}

// newStory starts the cluster, the edge without podgate, and clients that have
// nothing to ask for yet.
func newStory(t *testing.T, kubernetes, podgate string) *story {
	s := &story{began: time.Now()}
	s.cluster = realapi.Start(t, kubernetes, realapi.Config{})
	s.cluster.Admin.Apply(t, filepath.Join("..", "..", "packaging", "rbac.yaml"))
	for _, name := range []string{"bank", "shop"} {
		namespace := realapi.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": realapi.Object{"name": name}}
		if err := s.cluster.Admin.Create(t.Context(), "/api/v1/namespaces", namespace); err != nil {
			t.Fatal(err)
		}
	}
	s.slices = newEndpointSlices(s.cluster.Admin)
	go s.slices.follow(t.Context())
	s.kubelet = newKubelet(s.cluster.Admin, s.slices, 120)
	s.edge = startEdge(t, podgate, s.cluster)
	s.load = startLoad(s.kubelet, s.edge.log, map[string]int{short: 12, keepAlive: 12, idle: 12, lines: 4})
	t.Cleanup(func() {
		s.load.stop()
		s.report(t)
	})
	return s
}

// step runs one part of the story, which stands on the parts before it, and
// fails it by the requests that failed meanwhile.
func (s *story) step(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Logf("--- %s", name)
	start, changes, reloads := time.Now(), s.slices.counted(), s.edge.reloads()
	requests, _ := s.load.requests(kinds...)

	f(t)

	all, failed := s.load.requests(kinds...)
	now := s.slices.counted()
	t.Logf("    %.1fs: %d requests, %d failed; endpoints: %d added, %d removed; %d reloads",
		time.Since(start).Seconds(), all-requests, failed-s.failed,
		now.added-changes.added, now.removed-changes.removed, s.edge.reloads()-reloads)
	if failed > s.failed {
		t.Errorf("%s: %d requests failed:\n%s", name, failed-s.failed, s.load.describe(int(s.failed)))
		s.failed = failed
	}
	if !s.edge.haproxy.Running() {
		t.Fatalf("HAProxy ended: %v", s.edge.haproxy.State())
	}
}

// end stops the load and asks for what has to hold of the whole.
func (s *story) end(t *testing.T) {
	s.load.stop()
	s.kubelet.leave.Wait()
	for _, err := range s.kubelet.errs {
		t.Error(err)
	}
	if all, failed := s.load.requests(kinds...); failed > 0 {
		t.Errorf("%d of %d requests failed", failed, all)
	}
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
