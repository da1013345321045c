// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

func TestTheOrderOfTheInputDoesNotMatter(t *testing.T) { inBothModes(t, orderDoesNotMatter) }

func orderDoesNotMatter(t *testing.T, cfg *config.Config) {
	for seed := range uint64(20) {
		c := newCluster(seed)
		for range 40 {
			c.change()
		}
		snap := c.snapshot()
		want := Compile(cfg, nil, snap, nil)
		for range 3 {
			if diff := cmp.Diff(want, Compile(cfg, nil, c.permuted(snap), nil), exported()); diff != "" {
				t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
			}
		}
	}
}

func TestAResultBasedOnAnotherIsTheSame(t *testing.T) { inBothModes(t, basedOnAnother) }

func TestACutResultBasedOnAnotherIsTheSame(t *testing.T) {
	inBothModes(t, func(t *testing.T, cfg *config.Config) {
		cfg.Safety.MaxServers, cfg.Safety.MaxServiceServers, cfg.Safety.MaxReloadTime = 5, 3, 2*tlsServerTime
		basedOnAnother(t, cfg)
	})
}

func basedOnAnother(t *testing.T, cfg *config.Config) {
	for seed := range uint64(20) {
		c := newCluster(seed)
		var prev *Result
		var snap *kubeapi.Snapshot
		for step := range 60 {
			for range 1 + c.IntN(3) {
				c.change()
			}
			if step == 30 {
				changed := *cfg
				cfg = &changed
				cfg.Defaults.Algorithm = haproxy.Random
			}
			snap = c.next(snap)
			got := Compile(cfg, nil, snap, prev)
			checkShared(t, got, prev)
			if diff := cmp.Diff(Compile(cfg, nil, snap, nil), got, exported()); diff != "" {
				t.Fatalf("seed %d step %d (-whole +changed):\n%s", seed, step, diff)
			}
			checkSorted(t, got)
			if again := Compile(cfg, nil, snap, got); again != got {
				t.Fatalf("seed %d step %d: nothing changed, but the Result is a new one", seed, step)
			}
			prev = got
		}
	}
}

// checkShared checks that equal backends of both Results are one pointer.
func checkShared(t *testing.T, r, prev *Result) {
	t.Helper()
	if prev == nil || r.input != prev.input {
		return
	}
	for _, b := range r.State.Backends.All() {
		i, ok := prev.State.Backends.Search(func(p *haproxy.Backend) int { return strings.Compare(p.Name, b.Name) })
		if ok && prev.State.Backends.At(i) != b && cmp.Equal(prev.State.Backends.At(i), b, exported()) {
			t.Fatalf("backend %s is equal, but another pointer", b.Name)
		}
	}
}

// exported compares the exported fields of Results.
func exported() cmp.Option {
	return cmp.Options{
		cmpopts.IgnoreUnexported(Result{}),
		cmp.Transformer("list", haproxy.Backends.Slice),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	}
}

// checkSorted checks the order that haproxy.State promises.
func checkSorted(t *testing.T, r *Result) {
	t.Helper()
	s := r.State
	byName := func(a, b *haproxy.Backend) int { return strictly(strings.Compare(a.Name, b.Name)) }
	routes := func(a, b haproxy.Route) int { return strictly(a.Compare(b)) }
	frontends := func(a, b haproxy.Frontend) int { return strictly(strings.Compare(a.Name, b.Name)) }
	if !slices.IsSortedFunc(s.Backends.Slice(), byName) || !slices.IsSortedFunc(s.Routes, routes) || !slices.IsSortedFunc(s.Frontends, frontends) {
		t.Fatalf("not sorted, or with duplicates:\n%s", s)
	}
	for i, b := range s.Backends.All() {
		servers := func(a, b haproxy.Server) int { return strictly(a.Addr.Compare(b.Addr)) }
		if !slices.IsSortedFunc(b.Servers, servers) {
			t.Fatalf("servers not sorted, or with duplicates:\n%s", s)
		}
		if p, ok := r.Service(b.Name); !ok || p != r.Ports[i] {
			t.Fatalf("backend %s serves %v, Ports has %v", b.Name, p, r.Ports[i])
		}
	}
	for _, route := range s.Routes {
		if _, ok := s.Backend(route.Backend); !ok {
			t.Fatalf("%s leads nowhere", route)
		}
	}
}

// strictly makes equal elements out of order.
func strictly(c int) int {
	if c == 0 {
		return 1
	}
	return c
}

// testConfig is a Config with which Services can conflict over everything.
func testConfig() *config.Config {
	c := config.Default()
	c.Kubernetes.Namespaces = []string{"default", "shop"}
	c.TCP.AllowedPorts = []config.PortRange{{First: 5000, Last: 5009}}
	c.HTTPS.Binds = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:443")}
	return c
}

// inBothModes runs a test with testConfig, and with the behaviour of service-loadbalancer.
func inBothModes(t *testing.T, test func(*testing.T, *config.Config)) {
	for _, ancestor := range []bool{false, true} {
		t.Run(fmt.Sprintf("service_loadbalancer=%v", ancestor), func(t *testing.T) {
			cfg := testConfig()
			cfg.Compatibility.ServiceLoadbalancer = ancestor
			test(t, cfg)
		})
	}
}

// cluster is a cluster that changes at random. It has few names, so that Services
// conflict.
type cluster struct {
	*rand.Rand
	services map[kubeapi.Key]*kubeapi.Service
	slices   map[kubeapi.Key]*kubeapi.EndpointSlice
}

func newCluster(seed uint64) *cluster {
	return &cluster{
		Rand:     rand.New(rand.NewPCG(seed, 0)),
		services: map[kubeapi.Key]*kubeapi.Service{},
		slices:   map[kubeapi.Key]*kubeapi.EndpointSlice{},
	}
}

// change adds, replaces or removes one object.
func (c *cluster) change() {
	key := kubeapi.Key{Namespace: pick(c, "default", "shop", "elsewhere"), Name: fmt.Sprintf("svc%d", c.IntN(6))}
	switch c.IntN(6) {
	case 0:
		delete(c.services, key)
	case 1, 2:
		c.services[key] = c.service(key)
	default:
		s := c.slice(key)
		if c.IntN(5) == 0 {
			delete(c.slices, s.Key)
		} else {
			c.slices[s.Key] = s
		}
	}
}

func (c *cluster) service(key kubeapi.Key) *kubeapi.Service {
	svc := &kubeapi.Service{
		Key:      key,
		Created:  time.Unix(int64(c.IntN(3)), 0).UTC(),
		Type:     pick(c, "ClusterIP", "ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
		Affinity: pick(c, "None", "ClientIP"),
		Ports:    []kubeapi.ServicePort{{Name: "http", Port: 80}, {Name: "admin", Port: 8081}}[:1+c.IntN(2)],
	}
	for range c.IntN(4) {
		if svc.Annotations == nil {
			svc.Annotations = map[string]string{}
		}
		svc.Annotations[Prefix+pick(c, "", "http.", "x")+string(pick(c, keys()...))] = "?"
		k := pick(c, keys()...)
		svc.Annotations[Prefix+string(k)+pick(c, "", "", ".http", ".admin", ".8081")] = pick(c, plausible(k)...)
	}
	return svc
}

// plausible are values for a key, valid and invalid ones.
func plausible(k key) []string {
	switch k {
	case keyHost:
		return []string{"a.example.com", "a.example.com,b.example.com", "*.example.com", "no host"}
	case keyPath:
		return []string{"/", "/a", "/a/b,/svc1", "a"}
	case keyACLMatch:
		return []string{"/a", "-i /A", "-m"}
	case keyBackendName:
		return []string{"web", "default_svc1_80", "podgate_x"}
	case keyTCP:
		return []string{"5000", "5001", "22", "x"}
	case keyAlgorithm:
		return []string{"first", "leastconn", "fastest"}
	case keyMaxConn:
		return []string{"1", "x"}
	case keyCheckInterval, keyTimeoutServer, keyTimeoutTunnel:
		return []string{"2s", "2"}
	}
	return []string{"true", "false", "wrong"}
}

func (c *cluster) slice(service kubeapi.Key) *kubeapi.EndpointSlice {
	s := &kubeapi.EndpointSlice{
		Key:         kubeapi.Key{Namespace: service.Namespace, Name: fmt.Sprintf("%s-%d", service.Name, c.IntN(3))},
		Service:     service.Name,
		AddressType: pick(c, "IPv4", "IPv4", "IPv6", "FQDN"),
		Ports:       []kubeapi.EndpointPort{{Name: "http", Port: 8080}, {Name: "admin", Port: uint16(9000 + c.IntN(2))}}[:1+c.IntN(2)],
	}
	for range c.IntN(5) {
		e := kubeapi.Endpoint{Ready: c.IntN(3) > 0, Serving: c.IntN(3) > 0, Terminating: c.IntN(2) == 0}
		switch s.AddressType {
		case "IPv4":
			e.Addr = netip.AddrFrom4([4]byte{10, 0, 0, byte(c.IntN(6))})
		case "IPv6":
			e.Addr = netip.AddrFrom16([16]byte{0x20, 1, 15: byte(c.IntN(6))})
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

// next is the Snapshot after prev. They share what is equal.
func (c *cluster) next(prev *kubeapi.Snapshot) *kubeapi.Snapshot {
	snap := c.snapshot()
	if prev == nil {
		return snap
	}
	slicesNow := prev.Slices
	for key := range snap.Slices.Changed(prev.Slices) {
		slicesNow = slicesNow.With(map[kubeapi.Key][]*kubeapi.EndpointSlice{key: snap.Slices.Of(key)})
	}
	snap.Slices = slicesNow
	if slices.Equal(snap.Services, prev.Services) {
		snap.Services = prev.Services
	}
	snap.Complete, snap.Since = prev.Complete+c.IntN(2), prev.Since.Add(time.Second)
	return snap
}

func (c *cluster) snapshot() *kubeapi.Snapshot {
	snap := &kubeapi.Snapshot{Complete: 1}
	groups := make(map[kubeapi.Key][]*kubeapi.EndpointSlice)
	for _, svc := range c.services {
		snap.Services = append(snap.Services, svc)
	}
	slices.SortFunc(snap.Services, func(a, b *kubeapi.Service) int { return a.Compare(b.Key) })
	for _, s := range c.slices {
		key := kubeapi.Key{Namespace: s.Namespace, Name: s.Service}
		groups[key] = append(groups[key], s)
	}
	for _, list := range groups {
		slices.SortFunc(list, func(a, b *kubeapi.EndpointSlice) int { return a.Compare(b.Key) })
	}
	snap.Slices = kubeapi.SliceIndex{}.With(groups)
	return snap
}

// permuted is the same Snapshot with another order of everything without an order.
func (c *cluster) permuted(snap *kubeapi.Snapshot) *kubeapi.Snapshot {
	p := &kubeapi.Snapshot{Services: shuffled(c, snap.Services), Complete: snap.Complete}
	groups := make(map[kubeapi.Key][]*kubeapi.EndpointSlice)
	for key, list := range snap.Slices.All() {
		for _, s := range shuffled(c, list) {
			copied := *s
			copied.Endpoints = shuffled(c, s.Endpoints)
			copied.Ports = shuffled(c, s.Ports)
			groups[key] = append(groups[key], &copied)
		}
	}
	p.Slices = kubeapi.SliceIndex{}.With(groups)
	return p
}

func pick[T any](c *cluster, from ...T) T { return from[c.IntN(len(from))] }

func shuffled[T any](c *cluster, list []T) []T {
	list = slices.Clone(list)
	c.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
