//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"podgate/daemon/edgetest"
	"podgate/haproxy"
	"podgate/kubeapi/kubeapitest/realapi"
)

// The minimum of requests and endpoint changes of a run.
const (
	wantRequests = 100_000
	wantChanges  = 200 // endpoints added or removed
)

// How long podgate may take to apply a change: while the API server runs, and after an
// outage, when its next attempt may be some time away.
const (
	followWithin      = 20 * time.Second
	followAfterOutage = 90 * time.Second
)

// accessSuffices sends requests with podgate's token that must be allowed or forbidden.
func (s *story) accessSuffices(t *testing.T) {
	podgate := s.cluster.As(t, s.cluster.Token(t, "podgate", "podgate"))
	node := realapi.Object{"apiVersion": "v1", "kind": "Node", "metadata": realapi.Object{"name": "node-2"}}
	for _, row := range []struct {
		method, path string
		body         any
		want         int
	}{
		{http.MethodGet, "/api/v1/namespaces/shop/services", nil, http.StatusOK},
		{http.MethodGet, "/api/v1/services", nil, http.StatusOK},
		{http.MethodGet, "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", nil, http.StatusOK},
		{http.MethodGet, "/apis/discovery.k8s.io/v1/endpointslices?watch=1&timeoutSeconds=1", nil, http.StatusOK},
		{http.MethodGet, "/api/v1/nodes/" + realapi.NodeName, nil, http.StatusOK},
		{http.MethodGet, "/api/v1/namespaces/podgate/secrets", nil, http.StatusForbidden},
		{http.MethodGet, "/api/v1/namespaces/shop/pods", nil, http.StatusForbidden},
		{http.MethodPost, "/api/v1/nodes?dryRun=All", node, http.StatusForbidden},
		{http.MethodDelete, "/api/v1/nodes/" + realapi.NodeName + "?dryRun=All", nil, http.StatusForbidden},
		{http.MethodPost, "/api/v1/namespaces/podgate/serviceaccounts/podgate/token", realapi.Object{}, http.StatusForbidden},
	} {
		if row.want == http.StatusOK { // as soon as the server's cache has the roles
			podgate.Await(t, row.path, row.want)
			continue
		}
		err := podgate.Do(t.Context(), row.method, row.path, realapi.JSON, row.body, nil)
		if got := realapi.StatusCode(err); got != row.want {
			t.Errorf("%s %s with podgate's token: status %d, want %d (%v)", row.method, row.path, got, row.want, err)
		}
	}
}

// begin starts podgate and creates the lasting Services.
func (s *story) begin(t *testing.T) {
	s.startPodgate(t)
	s.services = lasting()
	s.forEach(t, func(one *service) error { return s.create(t.Context(), one) })
	s.reached(t, followWithin)
}

func (s *story) forEach(t *testing.T, f func(*service) error) {
	t.Helper()
	if err := concurrently(s.services, f); err != nil {
		t.Fatal(err)
	}
}

// reached waits until every pod of the lasting Services has answered a request.
func (s *story) reached(t *testing.T, within time.Duration) {
	t.Helper()
	s.forEach(t, func(one *service) error { return one.reached(t.Context(), within) })
}

func (s *story) replacePods(t *testing.T) {
	s.converge(t)
	s.withoutReload(t, func() {
		s.forEach(t, func(one *service) error { return s.roll(t.Context(), one) })
		s.reached(t, followWithin)
		s.converge(t)
	})
}

// withoutReload fails the test if HAProxy is reloaded while f runs.
func (s *story) withoutReload(t *testing.T, f func()) {
	t.Helper()
	before := s.edge.HAProxy.Pid()
	f()
	if now := s.edge.HAProxy.Pid(); now != before {
		t.Errorf("HAProxy was reloaded: its worker was %d, is %d", before, now)
	}
}

// scaleToZero removes all pods of a Service. Only the test sends it requests meanwhile,
// which must be answered with 503.
func (s *story) scaleToZero(t *testing.T) {
	for _, one := range s.services {
		if one.strip == "" {
			continue
		}
		replicas := len(one.pods)
		one.remove()
		err := errors.Join(s.scale(t.Context(), one, 0), edgetest.Await(t.Context(), one.key()+" without pods", func() error {
			if err := edgetest.Ask(one.target(s.edge.HTTP, nil)); !errors.Is(err, edgetest.StatusError(http.StatusServiceUnavailable)) {
				return fmt.Errorf("got %w, want status 503", err)
			}
			return nil
		}), s.scale(t.Context(), one, replicas), s.addLoad(t.Context(), one))
		if err != nil {
			t.Fatal(err)
		}
	}
	s.reached(t, followWithin)
}

// addWhileRolling adds and removes Services of every kind, twice under the same names,
// while the pods of the lasting ones are replaced: clients keep their connections to old
// workers, some of whose servers are pods that have ended.
func (s *story) addWhileRolling(t *testing.T) {
	err := concurrently([]func() error{
		func() error { return errors.Join(s.addAndRemove(t.Context()), s.addAndRemove(t.Context())) },
		func() error {
			return concurrently(s.services, func(one *service) error { return s.roll(t.Context(), one) })
		},
	}, func(f func() error) error { return f() })
	if err != nil {
		t.Fatal(err)
	}
	s.reached(t, followWithin)
}

func (s *story) addAndRemove(ctx context.Context) error {
	more := []*service{plain("shop", "sale", 3), hosted("shop", "outlet", 2), overTCP("bank", "queue", 2, 7001)}
	err := concurrently(more, func(one *service) error {
		return errors.Join(s.create(ctx, one), one.reached(ctx, followWithin))
	})
	if err != nil {
		return err
	}
	for _, one := range more {
		if err := s.delete(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// loseServer has the API server crash while podgate watches.
func (s *story) loseServer(t *testing.T) {
	s.converge(t)
	s.withoutReload(t, func() {
		s.cluster.KillServer(t)
		s.underLoad(t)
		s.cluster.StartServer(t)
		s.follows(t)
	})
}

// underLoad waits for some seconds, in which clients must receive answers.
func (s *story) underLoad(t *testing.T) {
	t.Helper()
	before := s.load.Report().Sent
	edgetest.Pause(t.Context(), 5*time.Second)
	if s.load.Report().Sent == before {
		t.Error("no request was answered")
	}
}

// follows adds a pod to one Service, and waits until it has received a request.
func (s *story) follows(t *testing.T) {
	t.Helper()
	one := s.services[0]
	if err := s.scale(t.Context(), one, len(one.pods)+1); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := one.reached(t.Context(), followAfterOutage); err != nil {
		t.Fatal(err)
	}
	t.Logf("    a new pod answers its first request %v after its endpoint was added", time.Since(began).Round(time.Millisecond))
	if err := s.scale(t.Context(), one, len(one.pods)-1); err != nil {
		t.Fatal(err)
	}
	s.converge(t)
}

// reachNumbers continues until there were enough requests and changes.
func (s *story) reachNumbers(t *testing.T) {
	for deadline := time.Now().Add(5 * time.Minute); ; s.forEach(t, func(one *service) error { return s.roll(t.Context(), one) }) {
		requests, changes := s.load.Report().Sent, s.kubelet.added.Load()+s.kubelet.removed.Load()
		if requests >= wantRequests && changes >= wantChanges {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d requests of %d, %d endpoint changes of %d: this machine is too slow", requests, wantRequests, changes, wantChanges)
		}
	}
	s.reached(t, followWithin)
	s.converge(t)
}

// converge waits until the servers of every lasting Service are the endpoints that
// its slices hold.
func (s *story) converge(t *testing.T) {
	t.Helper()
	s.forEach(t, func(one *service) error {
		return edgetest.Await(t.Context(), one.key(), func() error {
			endpoints, err := s.kubelet.endpoints(t.Context(), one)
			if err != nil {
				return err
			}
			var want, got []string
			for addr, c := range endpoints {
				if c.Ready {
					want = append(want, netip.AddrPortFrom(netip.MustParseAddr(addr), podPort).String())
				}
			}
			servers, err := s.edge.Runtime.Servers(t.Context(), []string{one.namespace + "_" + one.name + "_80"})
			if err != nil {
				return err
			}
			for _, some := range servers {
				for _, server := range some {
					if server.State != haproxy.Maint {
						got = append(got, server.Addr.String())
					}
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				return fmt.Errorf("HAProxy has the servers %q, the slices %q", got, want)
			}
			return nil
		})
	})
}
