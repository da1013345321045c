// SPDX-License-Identifier: Apache-2.0

//go:build lifecycle

package lifecycle

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"podgate/daemon/edgetest"
)

// newPod starts a pod until the test ends. All pods have one port, because the endpoints
// of a Service share it.
func newPod(t *testing.T, service string) *edgetest.Pod {
	t.Helper()
	lastPod++
	p, err := edgetest.StartPod(edgetest.PodOptions{Name: fmt.Sprintf("%s-%d", service, lastPod), Service: service, Port: 8080})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

var lastPod int

// target returns a Service without annotations as clients reach it.
func target(service string) edgetest.Target {
	path := "/" + service
	return edgetest.Target{Service: service, Request: edgetest.Request{Addr: netip.MustParseAddrPort("127.0.0.1:80"), Path: path + "/"}, Strip: path}
}

// own returns the frontend of the operator.
func own() edgetest.Target {
	return edgetest.Target{Service: "own", Request: edgetest.Request{Addr: netip.MustParseAddrPort("127.0.0.1:8081"), Path: "/"}}
}

// await waits for an answer of a pod of the Service.
func await(t *testing.T, target edgetest.Target) {
	t.Helper()
	awaitHeader(t, target, edgetest.ServiceHeader, target.Service)
}

// awaitPod waits for an answer of the pod.
func awaitPod(t *testing.T, target edgetest.Target, p *edgetest.Pod) {
	t.Helper()
	awaitHeader(t, target, edgetest.PodHeader, p.Name)
}

func awaitHeader(t *testing.T, target edgetest.Target, header, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := new(edgetest.Client).Until(ctx, target.Request, 20*time.Millisecond, func(a edgetest.Answer) bool { return a.Header.Get(header) == want })
	if err != nil {
		t.Fatalf("%v, want %s %q\n%s", err, header, want, journal())
	}
}

// eventually waits until ok returns true, for 30 seconds at most.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30s: %s\n%s", what, journal())
		}
	}
}

// startLoad sends requests to the targets until the test ends or checkLoad.
func startLoad(t *testing.T, targets ...edgetest.Target) *edgetest.Load {
	t.Helper()
	l := edgetest.StartLoad(edgetest.LoadOptions{Think: time.Millisecond})
	t.Cleanup(func() { l.Stop() })
	for _, target := range targets {
		if _, err := l.Add(t.Context(), target); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// checkLoad stops the load, and fails the test if a request failed.
func checkLoad(t *testing.T, l *edgetest.Load) {
	t.Helper()
	report := l.Stop()
	t.Log(report)
	for _, f := range report.Failures {
		t.Error(f)
	}
	if report.Sent < 1000 {
		t.Error("fewer than 1000 requests were sent")
	}
}

// showInfo returns the output of HAProxy's "show info".
func showInfo(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("unix", "/run/haproxy/admin.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, "show info")
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
