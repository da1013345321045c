//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/kubeapi/kubeapitest/realapi"
)

// What the run has to reach before it may end.
const (
	wantRequests = 100_000 // short and keep-alive together
	wantChanges  = 200     // endpoints that came or went
)

// How long podgate may take to follow: where nothing is wrong, and where the API
// server was away and its next try may be some way off.
const (
	followWithin      = 20 * time.Second
	followAfterOutage = 90 * time.Second
)

// plain is a Service without annotations, reached under its name.
func plain(namespace, name string, replicas int) *service {
	return &service{
		namespace: namespace, name: name, replicas: replicas,
		target: &target{service: namespace + "/" + name, host: "edge.test", path: "/" + name, strip: true},
	}
}

// hosted is a Service that has a host for itself.
func hosted(namespace, name string, replicas int) *service {
	s := plain(namespace, name, replicas)
	s.annotations = map[string]string{"host": name + ".example.com"}
	s.target.host, s.target.path, s.target.strip = name+".example.com", "", false
	return s
}

// overTCP is a Service with a port of its own on the edge.
func overTCP(namespace, name string, replicas, port int) *service {
	s := plain(namespace, name, replicas)
	s.protocol, s.annotations = "tcp", map[string]string{"tcp": fmt.Sprint(port)}
	s.target.port = port
	return s
}

// standing returns the Services that stand from start to end.
func standing() []*service {
	sticky := plain("bank", "portal", 5)
	sticky.annotations = map[string]string{"cookie-sticky-session": "true"}
	sticky.target.sticky = true

	paths := plain("shop", "search", 4)
	paths.annotations = map[string]string{"path": "/find,/search/v2", "algorithm": "leastconn"}
	paths.target.path, paths.target.strip = "/search/v2", false

	return []*service{
		plain("shop", "cart", 6),
		plain("shop", "catalog", 8),
		plain("shop", "checkout", 1), // no other pod to fall back on
		hosted("bank", "ledger", 4),
		sticky,
		paths,
		overTCP("bank", "postgres", 4, 5432),
	}
}

// create creates a Service and lets the load on it once it answers.
func (s *story) create(ctx context.Context, one *service) error {
	one.kubelet = s.kubelet
	if err := one.create(ctx); err != nil {
		return err
	}
	return s.load.add(ctx, one.target, followWithin)
}

// accessSuffices asks with podgate's token what podgate may and may not do.
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

// begin starts podgate and creates the standing Services.
func (s *story) begin(t *testing.T) {
	s.edge.startPodgate(t)
	s.services = standing()
	err := forEach(s.services, func(one *service) error { return s.create(t.Context(), one) })
	if err != nil {
		t.Fatal(err)
	}
	s.created += len(s.services)
	s.reached(t, followWithin)
}

// reached waits until the load has come to every pod of the standing Services.
func (s *story) reached(t *testing.T, within time.Duration) {
	t.Helper()
	err := forEach(s.services, func(one *service) error { return one.reached(t.Context(), within) })
	if err != nil {
		t.Fatal(err)
	}
}

func (s *story) rollInTurn(t *testing.T) {
	for _, one := range s.services {
		if err := one.roll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.reached(t, followWithin)
}

func (s *story) rollAtOnce(t *testing.T) {
	err := forEach(s.services, func(one *service) error { return one.roll(t.Context()) })
	if err != nil {
		t.Fatal(err)
	}
	s.reached(t, followWithin)
}

// scaleToZero leaves a Service without a pod. Nobody asks it meanwhile but the
// test, which wants to see 503: the Service is there, its pods are not.
func (s *story) scaleToZero(t *testing.T) {
	for range 2 {
		for _, one := range s.services {
			if one.protocol == "tcp" || one.target.host != "edge.test" {
				continue
			}
			replicas := len(one.pods)
			s.load.remove(one.target)
			if err := one.scale(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if err := s.answers(t.Context(), one, http.StatusServiceUnavailable); err != nil {
				t.Fatal(err)
			}
			if err := one.scale(t.Context(), replicas); err != nil {
				t.Fatal(err)
			}
			if err := s.load.add(t.Context(), one.target, followWithin); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.reached(t, followWithin)
}

// answers waits until a Service that the load leaves alone answers a status;
// zero stands for no answer.
func (s *story) answers(ctx context.Context, one *service, want int) error {
	for deadline := time.Now().Add(followWithin); ; pause(ctx, 20*time.Millisecond) {
		err := s.load.probe(one.target)
		if err != nil && status(err) == want {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: the answer stays %v (status %d), want %d", one.key(), err, status(err), want)
		}
	}
}

// addAndRemove creates Services of every kind, twice under the same names, and
// removes them.
func (s *story) addAndRemove(t *testing.T) {
	for range 2 {
		if err := s.comeAndGo(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// addWhileRolling does the same while the pods of the standing Services are
// replaced: clients stay with workers that a reload has replaced, whose servers
// are pods that have gone meanwhile.
func (s *story) addWhileRolling(t *testing.T) {
	err := atOnce(2, func(i int) error {
		if i == 0 {
			return s.comeAndGo(t.Context())
		}
		return forEach(s.services, func(one *service) error { return one.roll(t.Context()) })
	})
	if err != nil {
		t.Fatal(err)
	}
	s.reached(t, followWithin)
}

func (s *story) comeAndGo(ctx context.Context) error {
	more := []*service{
		plain("shop", "sale", 3),
		hosted("shop", "outlet", 2),
		overTCP("bank", "queue", 2, 7001),
	}
	err := forEach(more, func(one *service) error {
		if err := s.create(ctx, one); err != nil {
			return err
		}
		return one.reached(ctx, followWithin)
	})
	if err != nil {
		return err
	}
	s.created += len(more)
	pause(ctx, time.Second)
	for _, one := range more {
		s.load.remove(one.target)
		if err := one.remove(ctx); err != nil {
			return err
		}
		s.removed++
		want := http.StatusNotFound
		if one.protocol == "tcp" {
			want = 0 // the port is closed
		}
		if err := s.answers(ctx, one, want); err != nil {
			return err
		}
	}
	return nil
}

// changeEndpoints changes endpoints and nothing else.
func (s *story) changeEndpoints(t *testing.T) {
	reloads, before := s.edge.quiet(t.Context()), s.slices.counted()
	const more = 4
	for _, one := range s.services {
		if err := one.scale(t.Context(), len(one.pods)+more); err != nil {
			t.Fatal(err)
		}
	}
	s.reached(t, followWithin)
	for _, one := range s.services {
		if err := one.scale(t.Context(), len(one.pods)-more); err != nil {
			t.Fatal(err)
		}
	}
	s.converge(t)
	s.noReload(t, reloads)
	after := s.slices.counted()
	if n := after.added + after.removed - before.added - before.removed; n < 50 {
		t.Errorf("%d endpoint changes, want 50 at least", n)
	}
}

// noReload fails the test where HAProxy was reloaded since.
func (s *story) noReload(t *testing.T, before int) {
	t.Helper()
	if now := s.edge.quiet(t.Context()); now != before {
		t.Errorf("HAProxy was reloaded %d times, want none", now-before)
	}
}

// loseServer lets the API server crash while podgate watches.
func (s *story) loseServer(t *testing.T) {
	reloads := s.edge.quiet(t.Context())
	s.cluster.KillServer(t)
	s.underLoad(t, 5*time.Second)
	s.podgateRuns(t)
	s.cluster.StartServer(t)
	s.follows(t, followAfterOutage)
	s.noReload(t, reloads)
}

// stopPodgate stops podgate: HAProxy has to serve on as it is.
func (s *story) stopPodgate(t *testing.T) {
	s.converge(t)
	reloads, servers := s.edge.quiet(t.Context()), s.edge.servers(t)
	s.edge.stopPodgate(t)
	s.underLoad(t, 5*time.Second)
	s.sameServers(t, servers)
	s.noReload(t, reloads)
}

// restartPodgate starts podgate again: it has to adopt HAProxy as it is.
func (s *story) restartPodgate(t *testing.T) {
	reloads, servers, file := s.edge.quiet(t.Context()), s.edge.servers(t), s.edge.podgateFile(t)
	s.edge.startPodgate(t)
	s.underLoad(t, 5*time.Second)
	s.podgateRuns(t)
	s.sameServers(t, servers)
	if now := s.edge.podgateFile(t); now != file {
		t.Errorf("podgate.cfg changed over a restart of podgate:\n--- before\n%s\n--- after\n%s", file, now)
	}
	s.follows(t, followWithin)
	s.noReload(t, reloads)
}

// startBeforeServer starts podgate while no API server answers.
func (s *story) startBeforeServer(t *testing.T) {
	s.converge(t)
	s.edge.stopPodgate(t)
	s.cluster.KillServer(t)
	reloads, servers := s.edge.quiet(t.Context()), s.edge.servers(t)
	s.edge.startPodgate(t)
	s.underLoad(t, 5*time.Second)
	s.podgateRuns(t)
	s.sameServers(t, servers)
	s.cluster.StartServer(t)
	s.follows(t, followAfterOutage)
	s.noReload(t, reloads)
}

// underLoad lets the clients ask for a while, and wants them to get somewhere.
func (s *story) underLoad(t *testing.T, d time.Duration) {
	t.Helper()
	before, _ := s.load.requests(kinds...)
	pause(t.Context(), d)
	if after, _ := s.load.requests(kinds...); after == before {
		t.Error("no request was answered")
	}
}

func (s *story) podgateRuns(t *testing.T) {
	t.Helper()
	if !s.edge.podgate.Running() {
		t.Fatalf("podgate ended: %v", s.edge.podgate.State())
	}
}

// sameServers fails the test where HAProxy's servers are not as they were.
func (s *story) sameServers(t *testing.T, before map[string]string) {
	t.Helper()
	now := s.edge.servers(t)
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if before[name] != now[name] {
			t.Errorf("server %s is %s, was %q", name, now[name], before[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if now[name] == "" {
			t.Errorf("server %s is gone", name)
		}
	}
}

// follows rolls one Service: its new pods have to be asked.
func (s *story) follows(t *testing.T, within time.Duration) {
	t.Helper()
	one := s.services[0]
	if err := one.scale(t.Context(), len(one.pods)+1); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := one.reached(t.Context(), within); err != nil {
		t.Fatal(err)
	}
	t.Logf("    a new pod has its first request %v after its endpoint came", time.Since(start).Round(time.Millisecond))
	if err := one.scale(t.Context(), len(one.pods)-1); err != nil {
		t.Fatal(err)
	}
	s.converge(t)
}

// reachNumbers goes on until there were enough requests and changes.
func (s *story) reachNumbers(t *testing.T) {
	for deadline := time.Now().Add(5 * time.Minute); ; s.rollAtOnce(t) {
		requests, _ := s.load.requests(short, keepAlive, idle)
		changes := s.slices.counted()
		if requests >= wantRequests && changes.added+changes.removed >= wantChanges {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d requests of %d, %d endpoint changes of %d: this machine is too slow",
				requests, wantRequests, changes.added+changes.removed, wantChanges)
		}
	}
}

// converge waits until the servers of every standing Service are the endpoints
// that its slices hold.
func (s *story) converge(t *testing.T) {
	t.Helper()
	for _, one := range s.services {
		for deadline := time.Now().Add(followWithin); ; pause(t.Context(), 50*time.Millisecond) {
			var want []string
			for address, c := range s.slices.of(one.key()) {
				if c.ready {
					want = append(want, fmt.Sprintf("%s:%d", address, podPort))
				}
			}
			slices.Sort(want)
			got := s.edge.backendServers(t, one.namespace, one.name)
			if slices.Equal(got, want) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: HAProxy has the servers\n  %s\nand the slices\n  %s",
					one.key(), strings.Join(got, " "), strings.Join(want, " "))
			}
		}
	}
}

// operatorSection asks what podgate is never to touch.
func (s *story) operatorSection(t *testing.T) {
	resp, err := http.Get(operatorURL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "operator" {
		t.Errorf("%s answers %q, %v", operatorURL, body, err)
	}
	want := fmt.Sprintf(baseConfig, s.edge.file("admin.sock"), os.Getgid(), s.edge.log.addr())
	if text, err := os.ReadFile(s.edge.file("base.cfg")); err != nil || string(text) != want {
		t.Errorf("base.cfg was changed (%v):\n%s", err, text)
	}
}
