//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// TestConformance runs the built podgate, with the packaged RBAC manifest, between a real
// API server with its controllers and a real HAProxy. Services and pods are added and
// removed under load, and no request may fail.
//
// It needs KUBERNETES, the binary that testdata/kubernetes/build.sh prints, and
// PODGATE, the built podgate; "make conformance" sets both.
func TestConformance(t *testing.T) {
	kubernetes, podgate := realapi.Binary(t, "KUBERNETES"), realapi.Binary(t, "PODGATE")
	haproxytest.Need(t)
	if !realapi.InNamespace(t, podRange) {
		return
	}
	s := newStory(t, kubernetes, podgate)
	s.step(t, "the RBAC manifest allows what podgate reads and nothing else", s.accessSuffices)
	s.step(t, "podgate starts and every pod answers", s.begin)
	s.step(t, "every pod is replaced, in all Services at once, without a reload", s.replacePods)
	s.step(t, "Services are scaled to zero and back", s.scaleToZero)
	s.step(t, "Services are added and removed while pods are replaced", s.addWhileRolling)
	s.step(t, "the API server crashes and is started again", s.loseServer)
	s.step(t, "the load reaches its minimum", s.reachNumbers)
	if report := s.load.Stop(); report.Err() != nil {
		t.Error(report.Err())
	}
	s.kubelet.leave.Wait()
	if err := errors.Join(s.kubelet.errs...); err != nil {
		t.Error(err)
	}
}

// story is one run of the test.
type story struct {
	cluster  *realapi.Cluster
	kubelet  *kubelet
	edge     *edgetest.Edge
	binary   string // of podgate
	podgate  *edgetest.Process
	load     *edgetest.Load
	services []*service // that exist from start to end
}

// newStory starts the cluster, HAProxy, and clients without targets.
func newStory(t *testing.T, kubernetes, podgate string) *story {
	s := &story{binary: podgate, cluster: realapi.Start(t, kubernetes, realapi.Config{})}
	s.cluster.Admin.Apply(t, filepath.Join("..", "..", "packaging", "rbac.yaml"))
	for _, name := range []string{"bank", "shop"} {
		namespace := realapi.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": realapi.Object{"name": name}}
		if err := s.cluster.Admin.Create(t.Context(), "/api/v1/namespaces", namespace); err != nil {
			t.Fatal(err)
		}
	}
	s.kubelet = newKubelet(s.cluster.Admin, 120)
	t.Cleanup(s.kubelet.close)
	s.openEdge(t)
	s.load = edgetest.StartLoad(edgetest.LoadOptions{Clients: 28, Idle: 12, Think: 8 * time.Millisecond})
	t.Cleanup(func() {
		t.Logf("%s; %d endpoints added, %d removed", s.load.Stop(), s.kubelet.added.Load(), s.kubelet.removed.Load())
	})
	return s
}

// openEdge starts HAProxy, and writes podgate.toml for the real API server.
func (s *story) openEdge(t *testing.T) {
	t.Helper()
	e, err := edgetest.OpenEdge(t.Context(), edgetest.NewCluster(), edgetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.edge = e
	t.Cleanup(func() {
		if s.podgate != nil {
			s.podgate.Kill()
			if t.Failed() {
				t.Logf("podgate's log ends with:\n%s\nHAProxy's log ends with:\n%s", s.podgate.Tail(), e.HAProxy.Log())
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	token := filepath.Join(e.Folder, "token")
	if err := os.WriteFile(token, []byte(s.cluster.Token(t, "podgate", "podgate")), 0o600); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]any{
		"kubernetes.server":       realapi.URL,
		"kubernetes.ca_file":      s.cluster.CAFile(),
		"kubernetes.token_file":   token,
		"kubernetes.namespaces":   []string{"bank", "shop"},
		"haproxy.reload_interval": "500ms",
		"tcp.allowed_ports":       []string{"5432", "7000-7100"},
	} {
		e.Set(key, value)
	}
	if err := e.Configure(""); err != nil {
		t.Fatal(err)
	}
}

// startPodgate starts podgate, and does not wait until it is connected.
func (s *story) startPodgate(t *testing.T) {
	t.Helper()
	var err error
	if s.podgate, err = s.edge.StartProcess(s.binary); err != nil {
		t.Fatal(err)
	}
}

// step runs one part of the story, which continues from the part before it. Requests that
// fail meanwhile are errors of the part.
func (s *story) step(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Logf("--- %s", name)
	began, before := time.Now(), s.load.Report()
	f(t)
	report := s.load.Report()
	t.Logf("    %.1fs: %d requests", time.Since(began).Seconds(), report.Sent-before.Sent)
	if failed := report.Failed - before.Failed; failed > 0 {
		t.Errorf("%s: %d requests failed", name, failed)
		for _, f := range report.Failures[min(before.Failed, len(report.Failures)):] {
			t.Log(f)
		}
	}
	if s.edge.HAProxy.Pid() == 0 {
		t.Fatal("HAProxy does not answer")
	}
}
