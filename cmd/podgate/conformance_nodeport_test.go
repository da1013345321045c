//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

func (s *edgesStory) nodePorts(t *testing.T) {
	for _, g := range s.gateways {
		g.configure(t, byProxy+byNodePort)
	}
	for _, g := range s.gateways {
		s.awaitServers(t, g, "web", nodePortsOf(30080, 0, 1, 2))
		s.awaitServers(t, g, "near", nodePortsOf(30084, 0, 1))
		s.awaitServers(t, g, "cookie", nodePortsOf(30081, 0, 1, 2))
	}
	pause(t.Context(), longest)
	s.network.cut(t)
	if conn, err := s.network.edges[0].dial("", net.JoinHostPort(podAddr(0, 0), fmt.Sprint(podPort))); err == nil {
		conn.Close()
		t.Error("a pod is reached over a network that is cut off")
	}
	pause(t.Context(), 2*time.Second)
	for i, n := range s.takenBy(30080) {
		if n == 0 {
			t.Errorf("node %s: its port had no connection", nodeNames[i])
		}
	}
	t.Logf("    connections to the ports of web by node: %v", s.takenBy(30080))
}

// localPolicy looks at the Service near, whose pods are on the first two nodes.
func (s *edgesStory) localPolicy(t *testing.T) {
	pause(t.Context(), time.Second)
	taken := s.takenBy(30084)
	t.Logf("    connections to the ports of near by node: %v", taken)
	if taken[0] == 0 || taken[1] == 0 || taken[2] != 0 {
		t.Errorf("connections to the ports of near are %v, want none of the last alone", taken)
	}
}

func (s *edgesStory) labelledOut(t *testing.T) {
	const label = "node.kubernetes.io/exclude-from-external-load-balancers"
	beta := s.network.nodes[1]
	beta.label(t, s.cluster.Admin, label, "")
	for _, g := range s.gateways {
		s.awaitServers(t, g, "web", nodePortsOf(30080, 0, 2))
		s.awaitServers(t, g, "near", nodePortsOf(30084, 0))
	}
	pause(t.Context(), longest)
	before := []int64{beta.taken(30080), beta.taken(30081), beta.taken(30084)}
	pause(t.Context(), 2*time.Second)
	if after := []int64{beta.taken(30080), beta.taken(30081), beta.taken(30084)}; fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("connections to a node that is labelled out went from %v to %v", before, after)
	}
	beta.label(t, s.cluster.Admin, label, nil)
	for _, g := range s.gateways {
		s.awaitServers(t, g, "web", nodePortsOf(30080, 0, 1, 2))
	}
}

func (s *edgesStory) podsAgain(t *testing.T) {
	s.network.restore(t)
	for _, g := range s.gateways {
		g.configure(t, byProxy)
	}
	for _, g := range s.gateways {
		err := await(t.Context(), "pods", func() error {
			if servers := g.backendServers(t, townNamespace, "web"); !strings.HasPrefix(strings.Join(servers, " "), "10.244.") || len(servers) != 6 {
				return fmt.Errorf("servers of web on %s: %v", g.machine.name, servers)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func nodePortsOf(port int, nodes ...int) []string {
	var servers []string
	for _, i := range nodes {
		servers = append(servers, fmt.Sprintf("%s:%d", nodeAddr(i), port))
	}
	return servers
}

func (s *edgesStory) awaitServers(t *testing.T, g *gateway, service string, want []string) {
	t.Helper()
	err := await(t.Context(), g.machine.name, func() error {
		if got := g.backendServers(t, townNamespace, service); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("servers of %s are %v, want %v", service, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// takenBy is how many connections each node had on a port.
func (s *edgesStory) takenBy(port int) []int64 {
	var all []int64
	for _, n := range s.network.nodes {
		all = append(all, n.taken(port))
	}
	return all
}
