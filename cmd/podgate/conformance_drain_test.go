//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"strings"
	"testing"
	"time"
)

func (s *edgesStory) drainAndUndrain(t *testing.T) {
	g := s.gateways[0]
	began := time.Now()
	t.Logf("    %s", strings.ReplaceAll(g.mustCall(t, "drain", "--wait"), "\n", "; "))
	took := time.Since(began)
	s.leads(t, "both", 0, false)
	t.Logf("    drained within %v", took.Round(10*time.Millisecond))
	g.mustCall(t, "undrain")
	s.leads(t, "both", 0, true)
}

// shutDown is the order in which systemd stops the units: podgate-drain, podgate,
// haproxy.
func (s *edgesStory) shutDown(t *testing.T) {
	g := s.gateways[1]
	g.mustCall(t, "drain", "--wait", "--until-boot")
	g.stopPodgate(t)
	g.stopHAProxy(t)
	if conn, err := s.network.stranger.dial("", g.at(80)); err == nil {
		conn.Close()
		t.Error("HAProxy has stopped, and its port is open")
	}
	pause(t.Context(), time.Second) // of the crowd, with one edge
	g.startHAProxy(t)
	g.startPodgate(t)
	s.leads(t, "both", 1, false) // it still drains
	g.mustCall(t, "undrain")
	s.leads(t, "both", 1, true)
	pause(t.Context(), time.Second)
}
