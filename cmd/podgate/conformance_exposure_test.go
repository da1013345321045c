//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/kubeapi/kubeapitest/realapi"
)

// townNamespace is where all Services of the edges' test are.
const townNamespace = "town"

// exposure is a Service of type NodePort with pods on some nodes.
type exposure struct {
	name        string
	annotations map[string]string // without the prefix
	on          []int             // the node of each pod
	nodePort    int
	local       bool // externalTrafficPolicy Local
	sticky      bool // sessionAffinity ClientIP
	lines       bool // TCP: a pod tells the first line that it reads
}

// exposures stand from the start. A pod of each is on alpha and on beta at least.
func exposures() []*exposure {
	return []*exposure{
		{name: "web", on: []int{0, 0, 1, 1, 2, 2}, nodePort: 30080},
		{name: "cookie", on: []int{0, 1, 2}, nodePort: 30081, annotations: map[string]string{"cookie-sticky-session": "true"}},
		{name: "affine", on: []int{0, 0, 1, 1, 2, 2}, nodePort: 30082, sticky: true},
		{name: "guarded", on: []int{0, 1}, nodePort: 30083, annotations: map[string]string{"allow-source": clientAddrs[0]}},
		{name: "near", on: []int{0, 0, 1}, nodePort: 30084, local: true},
		{name: "lines", on: []int{0, 1}, nodePort: 30085, lines: true,
			annotations: map[string]string{"tcp": "5432", "send-proxy": "v1", "check": "false"}},
	}
}

// expose creates a Service with its pods, and what a kube-proxy does for its node
// port on every node.
func (s *edgesStory) expose(t *testing.T, x *exposure) {
	t.Helper()
	annotations := realapi.Object{}
	for key, value := range x.annotations {
		annotations["serviceloadbalancer/lb."+key] = value
	}
	spec := realapi.Object{
		"type":     "NodePort",
		"selector": realapi.Object{"app": x.name},
		"ports":    []realapi.Object{{"name": "http", "port": 80, "targetPort": podPort, "nodePort": x.nodePort}},
	}
	if x.local {
		spec["externalTrafficPolicy"] = "Local"
	}
	if x.sticky {
		spec["sessionAffinity"] = "ClientIP"
	}
	err := s.cluster.Admin.Create(t.Context(), "/api/v1/namespaces/"+townNamespace+"/services", realapi.Object{
		"apiVersion": "v1", "kind": "Service",
		"metadata": realapi.Object{"name": x.name, "annotations": annotations},
		"spec":     spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	byNode := map[int][]string{}
	for i, index := range x.on {
		addr := fmt.Sprintf("%s:%d", podAddr(index, s.nextPod[index]), podPort)
		s.nextPod[index]++
		s.startPod(t, x, fmt.Sprintf("%s-%d", x.name, i), index, addr)
		byNode[index] = append(byNode[index], addr)
	}
	var all []string
	for _, n := range s.network.nodes {
		all = append(all, byNode[n.index]...)
	}
	for _, n := range s.network.nodes {
		pods := all
		if x.local {
			pods = byNode[n.index]
		}
		n.forward(t, x.nodePort, pods)
	}
}

// startPod starts a pod's server and tells the API server that it is ready.
func (s *edgesStory) startPod(t *testing.T, x *exposure, name string, index int, addr string) {
	t.Helper()
	n := s.network.nodes[index]
	listener := n.pods.listen(t, addr)
	if x.lines {
		go tellLines(listener, name)
	} else {
		server := &http.Server{Handler: witness(name)}
		go server.Serve(listener)
		t.Cleanup(func() { server.Close() })
	}
	pods := "/api/v1/namespaces/" + townNamespace + "/pods"
	err := s.cluster.Admin.Create(t.Context(), pods, realapi.Object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": realapi.Object{"name": name, "labels": realapi.Object{"app": x.name}},
		"spec": realapi.Object{
			"nodeName":                     n.name,
			"automountServiceAccountToken": false,
			"containers":                   []realapi.Object{{"name": "app", "image": "app"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ip, _, _ := net.SplitHostPort(addr)
	status := realapi.Object{"status": realapi.Object{
		"phase": "Running", "podIP": ip, "podIPs": []realapi.Object{{"ip": ip}},
		"conditions": []realapi.Object{{"type": "Ready", "status": "True"}},
	}}
	if err := s.cluster.Admin.Do(t.Context(), http.MethodPatch, pods+"/"+name+"/status", realapi.MergePatch, status, nil); err != nil {
		t.Fatal(err)
	}
}

// witness answers with the pod's name and what its headers say of the client.
func witness(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if ms := r.URL.Query().Get("ms"); ms != "" {
			d, _ := time.ParseDuration(ms + "ms")
			pause(r.Context(), d)
		}
		var told []string
		for header, values := range r.Header {
			if strings.HasPrefix(header, "X-Forwarded") || header == "Forwarded" || header == "X-Real-Ip" {
				told = append(told, header+"="+strings.Join(values, "|"))
			}
		}
		slices.Sort(told)
		fmt.Fprint(w, strings.Join(append([]string{name}, told...), " "))
	}
}

// tellLines answers each connection with the pod's name and the first line of it.
func tellLines(listener net.Listener, name string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed at the test's end
		}
		go func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				fmt.Fprintf(conn, "%s %s", name, line)
			}
		}()
	}
}

// await waits until f reports no error.
func await(ctx context.Context, what string, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, followWithin)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		pause(ctx, 20*time.Millisecond)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}
