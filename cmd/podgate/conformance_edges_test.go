//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"podgate/kubeapi/kubeapitest/realapi"
)

// TestConformanceEdges is what stands between a cloud load balancer and pods, all
// of it real and each on a machine of its own: clients, a load balancer, two edges
// with HAProxy and podgate, three nodes with their pods behind them, and the API
// server. Its needs are those of TestConformance.
func TestConformanceEdges(t *testing.T) {
	kubernetes, podgate := realapi.Binary(t, "KUBERNETES"), realapi.Binary(t, "PODGATE")
	if !realapi.InNamespace(t) {
		return
	}
	s := newEdgesStory(t, kubernetes, podgate)
	s.step(t, "pods, allow-source and the access log see the client behind PROXY v2", s.clientByProxy)
	s.step(t, "a cookie that one edge set sticks through the other", s.cookieSticks)
	s.step(t, "an edge is drained and comes back", s.drainAndUndrain)
	s.step(t, "an edge is drained, podgate and HAProxy stop, and all comes back", s.shutDown)
	s.step(t, "node ports serve with the pods' network cut off", s.nodePorts)
	s.step(t, "traffic policy Local sends nothing to a node without a pod", s.localPolicy)
	s.step(t, "a node that is labelled out gets nothing", s.labelledOut)
	s.step(t, "pods are reached again", s.podsAgain)
	s.step(t, "a client's address sticks through the other edge, and over a reload", s.addressSticks)
	s.crowdGoes(t)
	s.step(t, "behind X-Forwarded-For the client is seen as well", s.clientByForwarded)
	s.step(t, "preflight names what is broken", s.preflight)
	t.Logf("all of it took %v", time.Since(s.began).Round(time.Second))
}

// edgesStory is one run of the test.
type edgesStory struct {
	began    time.Time
	cluster  *realapi.Cluster
	network  *network
	gateways []*gateway
	balancer *edge
	crowd    *crowd
	failed   int64       // of the crowd's requests, told by an earlier step
	nextPod  map[int]int // the next pod's number, by node
}

func newEdgesStory(t *testing.T, kubernetes, podgate string) *edgesStory {
	s := &edgesStory{began: time.Now(), nextPod: map[int]int{}, network: newNetwork(t)}
	s.cluster = realapi.Start(t, kubernetes, realapi.Config{Addr: apiAddr})
	s.cluster.Admin.Apply(t, filepath.Join("..", "..", "packaging", "rbac.yaml"))
	namespace := realapi.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": realapi.Object{"name": townNamespace}}
	if err := s.cluster.Admin.Create(t.Context(), "/api/v1/namespaces", namespace); err != nil {
		t.Fatal(err)
	}
	for _, n := range s.network.nodes {
		n.register(t, s.cluster.Admin)
	}
	for _, x := range exposures() {
		s.expose(t, x)
	}
	for i := range s.network.edges {
		s.gateways = append(s.gateways, s.startGateway(t, podgate, i))
	}
	s.startBalancer(t)
	for i := range s.gateways {
		s.leads(t, "both", i, true)
	}
	for i := range s.gateways {
		for _, x := range exposures() {
			if !x.lines {
				s.awaitStatus(t, firstPort+i, "/"+x.name+"/", 200)
			}
		}
	}
	s.startCrowd(t, proxyPort, "web", "cookie", "near")
	t.Logf("    %d machines, 3 nodes, %d Services: set up in %v", 1+5+2*len(s.network.nodes), len(exposures()), time.Since(s.began).Round(time.Millisecond))
	return s
}

// step runs one part of the story, and fails it by the requests of the crowd that
// failed meanwhile.
func (s *edgesStory) step(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Logf("--- %s", name)
	start, sent, reloads := time.Now(), s.crowd.sent.Load(), s.reloads()
	f(t)
	failed, causes := s.crowd.told()
	t.Logf("    %.1fs: %d requests, %d failed; %d reloads",
		time.Since(start).Seconds(), s.crowd.sent.Load()-sent, failed-s.failed, s.reloads()-reloads)
	if failed > s.failed {
		t.Errorf("%s: %d requests failed:\n%s", name, failed-s.failed, causes)
		s.failed = failed
	}
	for _, g := range s.gateways {
		if !g.haproxy.Running() || !g.podgate.Running() {
			t.Fatalf("%s: HAProxy %v, podgate %v", g.machine.name, g.haproxy.State(), g.podgate.State())
		}
	}
}

func (s *edgesStory) reloads() int {
	n := 0
	for _, g := range s.gateways {
		n += g.reloads()
	}
	return n
}

// crowdGoes ends the load: what follows cuts it off on purpose.
func (s *edgesStory) crowdGoes(t *testing.T) {
	s.crowd.stop()
	failed, _ := s.crowd.told()
	t.Logf("the crowd sent %d requests in all, %d failed", s.crowd.sent.Load(), failed)
}

// awaitStatus waits for a status of the load balancer's answer to the first
// client.
func (s *edgesStory) awaitStatus(t *testing.T, port int, path string, want int) {
	t.Helper()
	err := await(t.Context(), path, func() error {
		got, body, _, err := visit(s.network.client, clientAddrs[0], fmt.Sprintf("%s:%d", balancerOutside, port), "", path)
		if err == nil && got != want {
			err = fmt.Errorf("status %d %q, want %d", got, body, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
