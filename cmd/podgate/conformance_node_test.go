//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"podgate/kubeapi/kubeapitest/realapi"
)

// node is a machine of the cluster. Its pods are on a machine behind it, to
// which it forwards.
type node struct {
	*machine
	index int
	pods  *machine

	mu    sync.Mutex
	ports map[int]*forwarder // by node port
}

func newNode(t *testing.T, name string, index int) *node {
	n := &node{machine: newMachine(t, name), index: index, pods: newMachine(t, name+"-pods"), ports: map[int]*forwarder{}}
	plug(t, n.machine, nodeAddr(index))
	wire(t, n.pods, n.machine, podGateway(index))
	n.run(t, "echo 1 >/proc/sys/net/ipv4/ip_forward")
	for other := range nodeNames {
		if other != index {
			n.run(t, "ip route add "+podRoute(other))
		}
	}
	var lines []string
	for i := range podsPerNode {
		lines = append(lines, "ip addr add "+podAddr(index, i)+"/24 dev eth1")
	}
	n.pods.run(t, append(lines, "ip route add default via "+podGateway(index))...)
	return n
}

// register creates the Node in the cluster, as its kubelet does.
func (n *node) register(t *testing.T, api *realapi.Client) {
	t.Helper()
	err := api.Create(t.Context(), "/api/v1/nodes", realapi.Object{
		"apiVersion": "v1", "kind": "Node",
		"metadata": realapi.Object{"name": n.name},
		"spec":     realapi.Object{"podCIDR": podNetwork(n.index), "podCIDRs": []string{podNetwork(n.index)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	status := realapi.Object{"status": realapi.Object{
		"addresses":  []realapi.Object{{"type": "Hostname", "address": n.name}, {"type": "InternalIP", "address": nodeAddr(n.index)}},
		"conditions": []realapi.Object{{"type": "Ready", "status": "True"}},
	}}
	if err := api.Do(t.Context(), http.MethodPatch, "/api/v1/nodes/"+n.name+"/status", realapi.MergePatch, status, nil); err != nil {
		t.Fatal(err)
	}
}

// label sets a label of the Node, or takes it away where value is nil.
func (n *node) label(t *testing.T, api *realapi.Client, name string, value any) {
	t.Helper()
	patch := realapi.Object{"metadata": realapi.Object{"labels": realapi.Object{name: value}}}
	if err := api.Do(t.Context(), http.MethodPatch, "/api/v1/nodes/"+n.name, realapi.MergePatch, patch, nil); err != nil {
		t.Fatal(err)
	}
}

// forwarder is what kube-proxy makes of one node port on one node.
type forwarder struct {
	taken atomic.Int64 // connections so far
	lost  atomic.Int64 // those that no pod was there for
}

// forward leads a node port to some of these pods.
func (n *node) forward(t *testing.T, port int, pods []string) {
	t.Helper()
	f := new(forwarder)
	n.mu.Lock()
	n.ports[port] = f
	n.mu.Unlock()
	listener := n.listen(t, fmt.Sprintf("0.0.0.0:%d", port))
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed at the test's end
			}
			f.taken.Add(1)
			if len(pods) == 0 {
				f.lost.Add(1)
				conn.Close()
				continue
			}
			go n.lead(conn, pods[rand.N(len(pods))])
		}
	}()
}

// lead copies both ways until both have ended.
func (n *node) lead(conn net.Conn, pod string) {
	defer conn.Close()
	there, err := n.dial("", pod)
	if err != nil {
		return // who asked sees it
	}
	defer there.Close()
	done := make(chan error)
	pour := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		done <- errors.Join(err, to.(*net.TCPConn).CloseWrite())
	}
	go pour(there, conn)
	go pour(conn, there)
	<-done
	<-done
}

// taken is how many connections came to a node port.
func (n *node) taken(port int) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f := n.ports[port]; f != nil {
		return f.taken.Load()
	}
	return 0
}
