//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// eachResource returns messages that are logged for Services and for EndpointSlices.
func eachResource(messages ...string) []string { return append(messages, messages...) }

func accessWithdrawn(t *testing.T, s *space) {
	cfg := s.config()
	cfg.ResyncInterval = 2 * time.Second // RBAC does not end a running watch
	f := s.follow(cfg)
	s.service("cart", nil)
	pod := s.pod("cart-1", "cart", 8080)
	f.await(s.endpointsAre("cart", pod+":8080"))
	f.awaitTruth()

	s.remove("rbac.authorization.k8s.io/v1", "RoleBinding", "podgate")
	f.awaitLog(afterARejection, "API server forbids a list", 2)
	s.service("pay", nil)
	f.neverLoses("cart")

	s.bindRole()
	f.await(servicesAre("cart", "pay"))
	f.awaitLog(afterARejection, "API server allows the list", 2)
	f.awaitTruth()
	f.logged(eachResource("API server forbids a list", "API server allows the list")...)
	if got := f.logs.lines("forbids a list"); !strings.Contains(got[0], "its role needs the rule {apiGroups: ") {
		t.Errorf("log %q, want the rule that is missing", got[0])
	}
}

// neverLoses fails if a Service is missing from a Snapshot of the next seconds.
func (f *follower) neverLoses(service string) {
	f.t.Helper()
	for end := time.After(5 * time.Second); ; {
		select {
		case f.last = <-f.out:
			if !slices.Contains(serviceNames(f.last), service) {
				f.t.Fatalf("a Snapshot without %s: %s", service, describe(f.last))
			}
		case <-end:
			return
		}
	}
}

// mayList waits until the account may list what Follow lists.
func (s *space) mayList() {
	s.t.Helper()
	account := s.cluster.As(s.t, s.token())
	account.Await(s.t, s.path("v1", "Service"), http.StatusOK)
	account.Await(s.t, s.path("discovery.k8s.io/v1", "EndpointSlice"), http.StatusOK)
}

// almostExpired is a time in the past by less than the minute that the API server
// adds: a token that expired then works for 30 seconds, and up to 10 more if the
// server has just seen it.
func almostExpired() time.Time { return time.Now().Add(-30 * time.Second) }

// tokenExpires: the watch outlives the token, the next list does not.
func tokenExpires(t *testing.T, s *space) {
	cfg := s.config()
	cfg.ResyncInterval = 3 * time.Second
	f := s.follow(cfg)
	s.service("cart", nil)
	f.await(servicesAre("cart"))

	write(t, cfg.TokenFile, s.cluster.Expiring(t, s.token(), almostExpired()))
	f.awaitLog(afterARejection, "API server rejects the credentials", 1)
	s.service("pay", nil)
	f.neverLoses("cart")

	write(t, cfg.TokenFile, s.token())
	f.await(servicesAre("cart", "pay"))
	f.awaitLog(usually, "API server accepts the credentials", 1)
	f.awaitTruth()
	f.logged("API server rejects the credentials", "API server accepts the credentials")
	if got := f.logs.lines("rejects the credentials"); !strings.Contains(got[0], cfg.TokenFile) {
		t.Errorf("log %q, want it to name %s", got[0], cfg.TokenFile)
	}
}
