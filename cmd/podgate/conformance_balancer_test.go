//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"strings"
	"testing"

	"podgate/kubeapi/kubeapitest/realapi"
)

// The ports of the load balancer.
const (
	proxyPort     = 80   // to both edges, by PROXY v2
	firstPort     = 8001 // to the first edge alone, likewise; the port behind it to the second
	forwardedPort = 8080 // to both, by X-Forwarded-For
	linesPort     = 5432 // to both edges' TCP port, by PROXY v2
)

// balancerConfig is that of the load balancer, a second HAProxy. It repeats
// nothing that an edge refuses, and checks one edge on its plain health port, the
// other on the one that speaks PROXY.
const balancerConfig = `global
    stats socket %[1]s mode 600 level admin
    maxconn 2000

defaults
    mode tcp
    retries 0
    timeout connect 2s
    timeout client  30s
    timeout server  30s
    timeout check   2s
    option httpchk GET /healthz
    default-server inter 200ms fall 2 rise 1

listen both
    bind %[2]s:%[3]d
    server edge1 %[4]s:80 send-proxy-v2 check port 10880
    server edge2 %[5]s:80 send-proxy-v2 check port 10881 check-send-proxy

listen first
    bind %[2]s:%[6]d
    server edge1 %[4]s:80 send-proxy-v2

listen second
    bind %[2]s:%[7]d
    server edge2 %[5]s:80 send-proxy-v2

listen lines
    bind %[2]s:%[9]d
    server edge1 %[4]s:5432 send-proxy-v2 check port 10880
    server edge2 %[5]s:5432 send-proxy-v2 check port 10880

listen forwarded
    bind %[2]s:%[8]d
    mode http
    option forwardfor
    server edge1 %[4]s:80 check port 10880
    server edge2 %[5]s:80 check port 10880
`

// startBalancer starts the load balancer.
func (s *edgesStory) startBalancer(t *testing.T) {
	t.Helper()
	b := &edge{folder: t.TempDir()}
	b.write(t, "balancer.cfg", fmt.Sprintf(balancerConfig, b.file("admin.sock"), balancerOutside, proxyPort,
		edgeAddr(0), edgeAddr(1), firstPort, firstPort+1, forwardedPort, linesPort))
	args := s.network.balancer.within(s.gateways[0].binary, "-W", "-f", b.file("balancer.cfg"))
	b.haproxy = realapi.StartProcess(t, b.folder, "balancer", args[0], args[1:]...)
	b.awaitHAProxy(t)
	s.balancer = b
}

// leads waits until the load balancer takes an edge for up or down, as its check
// says.
func (s *edgesStory) leads(t *testing.T, listener string, index int, up bool) {
	t.Helper()
	name, want := fmt.Sprintf("%s/edge%d", listener, index+1), "op=0"
	if up {
		want = "op=2"
	}
	err := await(t.Context(), "the load balancer", func() error {
		if state := s.balancer.servers(t)[name]; !strings.HasPrefix(state, want) {
			return fmt.Errorf("%s is %s, want %s", name, state, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
