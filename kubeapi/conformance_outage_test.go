//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// watchTimeouts checks that watches that time out continue from their versions.
func watchTimeouts(t *testing.T, s *space) {
	f := s.follow(s.config(), func(c *kubeapi.Client) { c.SetWatchTimeout(4 * time.Second) })
	f.await(servicesAre())
	exists := make([]bool, 8)
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); {
		i := rand.IntN(len(exists))
		name := fmt.Sprintf("cart-%d", i)
		switch {
		case !exists[i]:
			s.service(name, object{"selector": nil})
			s.slice(name, name, object{"endpoints": []object{{"addresses": []string{"192.0.2.1"}}}})
			exists[i] = true
		case rand.IntN(2) == 0:
			s.remove("v1", "Service", name)
			s.remove("discovery.k8s.io/v1", "EndpointSlice", name)
			exists[i] = false
		default:
			address := fmt.Sprintf("192.0.2.%d", 1+rand.IntN(250))
			s.patch("discovery.k8s.io/v1", "EndpointSlice", name, object{"endpoints": []object{{"addresses": []string{address}}}})
		}
	}
	if got := f.awaitTruth(); got.Complete != 1 {
		t.Errorf("%d complete lists, want one: watches continue from their versions", got.Complete)
	}
	f.logged()
}

// serverStopped stops the server with SIGTERM: it accepts no new connection, and
// continues its watches for a while.
func serverStopped(t *testing.T, s *space) {
	all := s.followers()
	s.service("cart", nil)
	pod := s.pod("cart-1", "cart", 8080)
	all.await(s.endpointsAre("cart", pod+":8080"))
	s.cluster.StopServer(t, 15*time.Second)
	for _, f := range all {
		f.awaitLog(usually, "API server unreachable", 1)
	}
	s.cluster.StartServer(t)
	s.service("pay", nil)
	for _, f := range all {
		f.awaitWithin(afterAnOutage, "both Services", func(snapshot *kubeapi.Snapshot) bool { return len(snapshot.Services) == 2 })
		f.awaitLog(usually, "API server reachable", 1)
		f.awaitTruth()
		f.logged("API server unreachable", "API server reachable")
	}
}

// followThroughProxy returns a follower whose connections stay open while the API server
// is replaced: the Proxy is frozen meanwhile.
func (s *space) followThroughProxy(cfg kubeapi.Config) (*follower, *kubeapitest.Proxy) {
	s.t.Helper()
	proxy := kubeapitest.RunProxy(s.t, realapi.URL)
	cfg.Server = "https://" + proxy.Addr()
	// No ping ends the connections while they are frozen.
	return s.follow(cfg, func(c *kubeapi.Client) { c.SetPings(2*time.Minute, time.Minute) }), proxy
}

// tooOldForTheServer restarts the server, whose watch cache begins with the state of
// etcd at its start. It answers an older watch with HTTP 200 and one event of code 410.
func tooOldForTheServer(t *testing.T, s *space) {
	f, proxy := s.followThroughProxy(s.config())
	s.service("cart", nil)
	pod := s.pod("cart-1", "cart", 8080)
	f.await(s.endpointsAre("cart", pod+":8080"))
	f.awaitTruth()

	proxy.Freeze()
	s.service("pay", object{"selector": nil})
	s.create("v1", "ConfigMap", "later", nil) // a version that no watch of these resources has
	s.cluster.KillServer(t)
	s.cluster.StartServer(t)
	s.remove("v1", "Service", "cart")
	proxy.Thaw()

	f.awaitWithin(afterAnOutage, "only the Service that was added in the outage", func(snapshot *kubeapi.Snapshot) bool {
		return len(snapshot.Services) == 1 && snapshot.Services[0].Name == "pay"
	})
	f.awaitTruth()
	if got := f.logs.lines("410 Gone"); len(got) == 0 {
		t.Errorf("there was no 410: %q", f.logs.lines(""))
	}
	f.logged()
}

// etcdRestored restores a backup: watches from versions that the API server has not
// reached again receive no event.
func etcdRestored(t *testing.T, s *space) {
	s.service("cart", nil)
	s.service("old", nil)
	s.cluster.KillServer(t)
	s.cluster.StopEtcd(t)
	backup := s.cluster.Backup(t)
	s.cluster.StartEtcd(t)
	s.cluster.StartServer(t)

	cfg := s.config()
	cfg.ResyncInterval = 30 * time.Second
	f, proxy := s.followThroughProxy(cfg)
	s.remove("v1", "Service", "old")
	for i := range 50 {
		s.slice(fmt.Sprintf("cart-%d", i), "cart", nil)
	}
	s.service("lost", nil) // with the backup
	f.await(servicesAre("cart", "lost"))
	f.awaitTruth()

	proxy.Freeze()
	s.cluster.KillServer(t)
	s.cluster.StopEtcd(t)
	s.cluster.Restore(t, backup)
	s.cluster.StartEtcd(t)
	s.cluster.StartServer(t)
	s.service("new", nil)
	proxy.Thaw()

	f.awaitWithin(afterAnOutage, "what etcd holds now", func(snapshot *kubeapi.Snapshot) bool {
		return slices.Contains(serviceNames(snapshot), "new")
	})
	if got := f.logs.lines(`msg="resource version went backwards" op="list services`); len(got) != 1 {
		t.Error("no list brought the change: this is not the case that the test is for")
	}
	f.awaitTruth()
	f.awaitLog(cfg.ResyncInterval, "resource version went backwards", 2)
	s.service("newer", nil)
	f.await(servicesAre("cart", "new", "newer", "old"))
	f.awaitTruth()
	f.logged(eachResource("resource version went backwards")...)
}
