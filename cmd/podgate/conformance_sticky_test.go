//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

func (s *edgesStory) cookieSticks(t *testing.T) {
	const asks = 6
	for i, from := range clientAddrs[:6] {
		_, pod, header, err := visit(s.network.client, from, through(firstPort), "", "/cookie/")
		cookie, _, _ := strings.Cut(header.Get("Set-Cookie"), ";")
		if err != nil || !strings.HasPrefix(cookie, stickyCookie+"=") {
			t.Fatalf("client %d: cookie %q, %v", i, cookie, err)
		}
		name, _, _ := strings.Cut(pod, " ")
		for range asks {
			_, got, _, err := visit(s.network.client, from, through(firstPort+1), "", "/cookie/", "Cookie: "+cookie)
			if err != nil || !strings.HasPrefix(got, name+" ") {
				t.Errorf("client %d, through edge two: %q, %v, want %s", i, got, err, name)
			}
		}
	}
	t.Logf("    6 cookies, %d requests through the other edge", 6*asks)
}

// addressSticks comes with addresses that the crowd does not have.
func (s *edgesStory) addressSticks(t *testing.T) {
	want := map[string]string{}
	pods := map[string]bool{}
	for _, from := range clientAddrs[8:] {
		_, pod, _, err := visit(s.network.client, from, through(firstPort), "", "/affine/")
		if err != nil {
			t.Fatal(err)
		}
		want[from], _, _ = strings.Cut(pod, " ")
		pods[want[from]] = true
	}
	if len(pods) < 2 {
		t.Errorf("all clients are on one pod: %v", pods)
	}
	s.known(t, len(want))
	s.affine(t, want, firstPort+1, "the other edge")
	before := s.gateways[0].reloads()
	s.expose(t, &exposure{name: "late", on: []int{0}, nodePort: 30086, lines: true, annotations: map[string]string{"tcp": "7001", "check": "false"}})
	err := await(t.Context(), "a reload", func() error {
		if s.gateways[0].reloads() == before {
			return fmt.Errorf("%s was not reloaded", s.gateways[0].machine.name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.known(t, len(want)) // the worker that was replaced hands its table on
	took := time.Since(began)
	s.affine(t, want, firstPort, "the same edge after a reload")
	t.Logf("    %d clients on %d pods; the new worker knew them within %v", len(want), len(pods), took.Round(time.Millisecond))
}

// known waits until both edges know so many clients and are done with learning.
func (s *edgesStory) known(t *testing.T, clients int) {
	t.Helper()
	for _, g := range s.gateways {
		err := await(t.Context(), "the peers of "+g.machine.name, func() error {
			table, err := g.command("show table " + townNamespace + "_affine_80")
			if n := strings.Count(table, "key="); err == nil && n < clients {
				return fmt.Errorf("%d clients in the table, want %d", n, clients)
			}
			peers, err := g.command("show peers podgate")
			if !learned(peers) {
				return fmt.Errorf("still learning: %s, %v", peers, err)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (s *edgesStory) affine(t *testing.T, want map[string]string, port int, where string) {
	t.Helper()
	for from, pod := range want {
		_, got, _, err := visit(s.network.client, from, through(port), "", "/affine/")
		if err != nil || !strings.HasPrefix(got, pod+" ") {
			t.Errorf("through %s, %s reaches %q, %v, want %s", where, from, got, err, pod)
		}
	}
}

// learned reports whether "show peers" is of a worker that has nothing to learn
// from others any more: the two lowest bits of its flags are what it has from its
// predecessor and from the other edges (HAProxy, peers-t.h).
func learned(shown string) bool {
	_, rest, _ := strings.Cut(shown, " flags=0x")
	text, _, _ := strings.Cut(rest, " ")
	flags, err := strconv.ParseUint(text, 16, 32)
	return err == nil && flags&3 == 3
}
