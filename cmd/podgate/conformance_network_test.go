//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"testing"
)

// The addresses of the network. Clients reach the load balancer alone; it, the
// edges, the nodes and the API server are in one network, and each node has its
// pods behind it.
const (
	balancerOutside = "203.0.113.1"
	apiAddr         = "10.60.0.1"
	balancerAddr    = "10.60.0.2"
	strangerAddr    = "10.60.0.99" // in the network, and no load balancer
)

// clientAddrs are the addresses of clients, all of one machine.
var clientAddrs = func() (addrs []string) {
	for i := range 20 {
		addrs = append(addrs, fmt.Sprintf("203.0.113.%d", 10+i))
	}
	return addrs
}()

func edgeAddr(i int) string { return fmt.Sprintf("10.60.0.%d", 11+i) }
func nodeAddr(i int) string { return fmt.Sprintf("10.60.0.%d", 21+i) }

// podsPerNode is how many addresses a node has for pods.
const podsPerNode = 20

// podNetwork is that of one node's pods, podAddr the nth of them.
func podNetwork(node int) string { return fmt.Sprintf("10.244.%d.0/24", node+1) }
func podAddr(node, n int) string { return fmt.Sprintf("10.244.%d.%d", node+1, 10+n) }
func podGateway(node int) string { return fmt.Sprintf("10.244.%d.1", node+1) }
func podRoute(node int) string   { return podNetwork(node) + " via " + nodeAddr(node) }

// network is every machine of the test.
type network struct {
	client, balancer, stranger *machine
	edges                      []*machine
	nodes                      []*node
}

// nodeNames are those of the cluster that have pods behind them.
var nodeNames = []string{"alpha", "beta", "gamma"}

func newNetwork(t *testing.T) *network {
	w := &network{
		client:   newMachine(t, "client"),
		balancer: newMachine(t, "balancer"),
		stranger: newMachine(t, "stranger"),
		edges:    []*machine{newMachine(t, "edge1"), newMachine(t, "edge2")},
	}
	hub().run(t, "ip link add name lan type bridge", "ip link set lan up", "ip addr add "+apiAddr+"/24 dev lan")
	plug(t, w.balancer, balancerAddr)
	plug(t, w.stranger, strangerAddr)
	for i, name := range nodeNames {
		w.nodes = append(w.nodes, newNode(t, name, i))
	}
	for i, m := range w.edges {
		plug(t, m, edgeAddr(i))
		for j := range w.nodes {
			m.run(t, "ip route add "+podRoute(j))
		}
	}
	wire(t, w.client, w.balancer, balancerOutside)
	var lines []string
	for _, addr := range clientAddrs {
		lines = append(lines, "ip addr add "+addr+"/24 dev eth1")
	}
	w.client.run(t, lines...)
	return w
}

// plug gives a machine an address in the common network.
func plug(t *testing.T, m *machine, addr string) {
	t.Helper()
	hub().run(t,
		fmt.Sprintf("ip link add name to-%s type veth peer name eth0 netns %d", m.name, m.pid),
		fmt.Sprintf("ip link set to-%s master lan up", m.name))
	m.run(t, "ip addr add "+addr+"/24 dev eth0", "ip link set eth0 up")
}

// wire joins two machines by their eth1; there is the address of the second.
func wire(t *testing.T, here, there *machine, addr string) {
	t.Helper()
	here.run(t, fmt.Sprintf("ip link add name eth1 type veth peer name eth1 netns %d", there.pid), "ip link set eth1 up")
	there.run(t, "ip addr add "+addr+"/24 dev eth1", "ip link set eth1 up")
}

// cut takes the edges' routes to the pods away, and restore gives them back.
func (w *network) cut(t *testing.T)     { w.routes(t, "del") }
func (w *network) restore(t *testing.T) { w.routes(t, "add") }

func (w *network) routes(t *testing.T, verb string) {
	t.Helper()
	for _, m := range w.edges {
		for j := range w.nodes {
			m.run(t, "ip route "+verb+" "+podRoute(j))
		}
	}
}
