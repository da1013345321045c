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

// eachResource is what is told of Services and of EndpointSlices.
func eachResource(messages ...string) []string { return append(messages, messages...) }

func accessWithdrawn(t *testing.T, s *space) {
	cfg := s.config()
	cfg.ResyncInterval = 2 * time.Second // a watch that is allowed goes on
	f := s.follow(cfg)
	s.service("cart", nil)
	pod := s.pod("cart-1", "cart", 8080)
	f.sees(s.answers("cart", pod+":8080"))
	f.seesTruth()

	s.remove("rbac.authorization.k8s.io/v1", "RoleBinding", "podgate")
	f.tells(refusedWithin, "API server forbids a list", 2)
	s.service("pay", nil)
	f.keeps("cart")

	s.bind("ClusterRole", "podgate")
	f.sees(stands("cart", "pay"))
	f.tells(refusedWithin, "API server allows the list", 2)
	f.seesTruth()
	f.told(eachResource("API server forbids a list", "API server allows the list")...)
	if got := f.logs.lines("forbids a list"); !strings.Contains(got[0], "its role needs the rule {apiGroups: ") {
		t.Errorf("log %q, want the rule that is missing", got[0])
	}
}

// keeps fails if a Service is missing from a Snapshot of the next seconds.
func (f *follower) keeps(service string) {
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

func watchNotAllowed(t *testing.T, s *space) {
	role := func(verbs ...string) object {
		return object{"rules": []object{
			{"apiGroups": []string{""}, "resources": []string{"services"}, "verbs": verbs},
			{"apiGroups": []string{"discovery.k8s.io"}, "resources": []string{"endpointslices"}, "verbs": verbs},
		}}
	}
	s.create("rbac.authorization.k8s.io/v1", "Role", "lists", role("get", "list"))
	s.remove("rbac.authorization.k8s.io/v1", "RoleBinding", "podgate")
	s.bind("Role", "lists")
	s.cluster.As(t, s.token()).Await(t, s.path("v1", "Service")+"?watch=true&timeoutSeconds=1", http.StatusForbidden)
	s.mayList()

	cfg := s.config()
	cfg.ResyncInterval = 3 * time.Second
	f := s.follow(cfg)
	f.tells(seenWithin, "watch rejected, polling", 2)
	s.service("cart", nil)
	pod := s.pod("cart-1", "cart", 8080)
	f.sees(s.answers("cart", pod+":8080"))
	f.seesTruth()
	f.told(eachResource("watch rejected, polling")...)

	s.patch("rbac.authorization.k8s.io/v1", "Role", "lists", role("get", "list", "watch"))
	f.tells(seenWithin, "watch works, polling ended", 2)
	s.service("pay", nil)
	f.sees(stands("cart", "pay"))
	f.seesTruth()
	f.told(eachResource("watch rejected, polling", "watch works, polling ended")...)
}

// mayList waits until the account may list what Follow lists.
func (s *space) mayList() {
	s.t.Helper()
	account := s.cluster.As(s.t, s.token())
	account.Await(s.t, s.path("v1", "Service"), http.StatusOK)
	account.Await(s.t, s.path("discovery.k8s.io/v1", "EndpointSlice"), http.StatusOK)
}

// soon is an end that lies in the past by less than the minute that the API
// server adds to it: a token with it lives for 30 seconds, and for up to 10 more
// where the server has just seen it.
func soon() time.Time { return time.Now().Add(-30 * time.Second) }

// tokenExpires: the watch outlives the token, the next list does not.
func tokenExpires(t *testing.T, s *space) {
	cfg := s.config()
	cfg.ResyncInterval = 3 * time.Second
	f := s.follow(cfg)
	s.service("cart", nil)
	f.sees(stands("cart"))

	write(t, cfg.TokenFile, s.cluster.Expiring(t, s.token(), soon()))
	f.tells(refusedWithin, "API server rejects the credentials", 1)
	s.service("pay", nil)
	f.keeps("cart")

	write(t, cfg.TokenFile, s.token())
	f.sees(stands("cart", "pay"))
	f.tells(seenWithin, "API server accepts the credentials", 1)
	f.seesTruth()
	f.told("API server rejects the credentials", "API server accepts the credentials")
	if got := f.logs.lines("rejects the credentials"); !strings.Contains(got[0], cfg.TokenFile) {
		t.Errorf("log %q, want it to name %s", got[0], cfg.TokenFile)
	}
}

func tokenRotated(t *testing.T, s *space) {
	cfg := s.config()
	cfg.ResyncInterval = 3 * time.Second
	first := s.cluster.Expiring(t, s.token(), soon())
	write(t, cfg.TokenFile, first)
	f := s.follow(cfg)
	s.service("cart", nil)
	f.sees(stands("cart"))

	write(t, cfg.TokenFile, s.token())
	s.cluster.As(t, first).Await(t, s.path("v1", "Service"), http.StatusUnauthorized)
	f.seesLists(2)
	s.service("pay", nil)
	f.sees(stands("cart", "pay"))
	f.seesTruth()
	f.told()
}

// accountCreatedAnew: a token is for the account that was, not for its name.
func accountCreatedAnew(t *testing.T, s *space) {
	cfg := s.config()
	cfg.ResyncInterval = 2 * time.Second
	f := s.follow(cfg)
	s.service("cart", nil)
	f.sees(stands("cart"))

	s.remove("v1", "ServiceAccount", conformanceAccount)
	f.tells(refusedWithin, "API server rejects the credentials", 1)
	s.createAccount()
	s.service("pay", nil)
	f.keeps("cart")

	write(t, cfg.TokenFile, s.token())
	f.sees(stands("cart", "pay"))
	f.tells(seenWithin, "API server accepts the credentials", 1)
	f.seesTruth()
	f.told("API server rejects the credentials", "API server accepts the credentials")
}
