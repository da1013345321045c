// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/haproxy"
)

var (
	walkSeed  = flag.Uint64("seed", 0, "seed of the random walk; 0 means a new one")
	walkSteps = flag.Int("steps", 40, "steps of the random walk")
)

// TestRandomWalk applies the Diff to a random State, many times. It asserts that HAProxy
// reaches each State, so that the next Diff is empty, and that no request fails for
// which both States have a ready server.
func TestRandomWalk(t *testing.T) {
	seed := *walkSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("to repeat: go test -run TestRandomWalk -seed %d -steps %d", seed, *walkSteps)

	b := newBox(t)
	w := &walk{box: b, world: newWorld(t, b, seed)}
	have := w.world.next(haproxy.State{})
	w.loaded = have.Structure()
	b.load(t, have)
	w.reach(t, have)
	for i := range *walkSteps {
		want := w.world.next(have)
		watch := newWatch(have, want)
		w.reach(t, want)
		failures, requests := watch.stop()
		w.requests += requests
		for _, f := range failures {
			t.Errorf("step %d: %s", i, f)
		}
		if t.Failed() {
			t.Fatalf("step %d from\n%sto\n%s", i, have, want)
		}
		have = want
	}
	eventually(t, "removed servers are deleted", func() bool {
		plan := haproxy.Diff(b.observe(t, w.loaded), have)
		w.apply(t, plan)
		return plan.Empty()
	})
	t.Logf("%d steps, %d reloads, %d plans, %d requests, %d backends at runtime", *walkSteps, w.reloads, w.plans, w.requests, w.backends)
}

// walk applies States as the daemon does.
type walk struct {
	box
	world                    *world
	loaded                   haproxy.State
	reloads, plans, requests int
	backends                 int // added and deleted without a reload
}

// apply is box.apply that updates loaded.
func (w *walk) apply(t *testing.T, plan haproxy.Plan) {
	t.Helper()
	applied := w.box.apply(t, plan)
	deleted := map[string]bool{}
	for _, b := range plan.OldBackends {
		deleted[b.Name] = !slices.Contains(applied.PendingBackends, b.Name)
	}
	for _, b := range plan.Vacated {
		deleted[b.Name] = true
	}
	w.loaded = w.loaded.WithBackends(plan.NewBackends, deleted)
	w.backends += len(plan.NewBackends) + len(plan.OldBackends) + len(plan.Vacated) - len(applied.PendingBackends)
	names, err := w.SpareNames(t.Context())
	must(t, err)
	if diff := gocmp.Diff(w.loaded.SpareNames(), names, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("backends in spares (-Plan +HAProxy):\n%s", diff)
	}
}

// reach applies Plans and reloads until the Diff is empty or has only deletes.
func (w *walk) reach(t *testing.T, want haproxy.State) {
	t.Helper()
	for range 3 {
		plan := haproxy.Diff(w.observe(t, w.loaded), want)
		if onlyWaits(plan) {
			return
		}
		if plan.Runtime() {
			w.plans++
			w.apply(t, plan)
		}
		if len(plan.Reload) > 0 {
			w.reloads++
			w.load(t, want)
			w.loaded = want.Structure()
		}
	}
	plan := haproxy.Diff(w.observe(t, w.loaded), want)
	if !onlyWaits(plan) {
		t.Fatalf("the Plan is not empty: %v, servers %v and %v, %d maps", plan.Reload, plan.Add, plan.Leave, len(plan.Maps))
	}
}

// onlyWaits reports whether the Plan has only deletes of servers with connections.
func onlyWaits(p haproxy.Plan) bool {
	others := slices.ContainsFunc(p.Leave, func(c haproxy.ServerChange) bool { return c.Op != haproxy.DeleteServer })
	return len(p.Reload)+len(p.NewBackends)+len(p.Vacated)+len(p.Add)+len(p.Publish)+len(p.Maps) == 0 && !others
}

// world makes random States.
type world struct {
	rand  *rand.Rand
	http  []netip.AddrPort
	relay netip.AddrPort
	tcp   []netip.AddrPort
	pods  []netip.AddrPort
	names []string
	adds  bool // HAProxy adds backends at run time
	// spares is how many spares of each class HAProxy loads.
	spares int
}

func newWorld(t *testing.T, b box, seed uint64) *world {
	t.Helper()
	w := &world{
		rand: rand.New(rand.NewPCG(seed, 0)),
		adds: b.addsBackends(t), spares: 2,
		names: []string{"shop_a_80", "shop_b_80", "shop_c_80", "shop_d_80", "shop_e_80", "shop_f_80"},
	}
	for range 8 {
		pod, _ := newPod(t)
		w.pods = append(w.pods, pod.Addr)
	}
	slices.SortFunc(w.pods, netip.AddrPort.Compare)
	w.relay = b.freeAddr(t)
	for range 2 {
		w.http = append(w.http, b.freeAddr(t))
		w.tcp = append(w.tcp, b.freeAddr(t))
	}
	return w
}

// next returns another State: mostly have with other servers and routes, sometimes a
// new one.
func (w *world) next(have haproxy.State) haproxy.State {
	s := haproxy.State{RuntimeBackends: w.adds, SpareBackends: w.spares, Settings: have.Settings}
	if w.one(10) || have.Backends.Len() == 0 {
		s.Settings = settings()
		s.Settings.TimeoutClient += time.Duration(w.rand.IntN(3)) * time.Second
	}
	const rarely = 6 // the classes stay for some steps, so that backends of them are added
	fresh := have.Backends.Len() == 0 || w.one(rarely)
	if fresh {
		s.Backends = haproxy.ListOf(w.backends()...)
	} else {
		s.Backends = have.Backends
		if n := s.Backends.Len(); n > 1 && w.one(4) {
			i := w.rand.IntN(n)
			s.Backends = haproxy.ListOf(slices.Delete(s.Backends.Slice(), i, i+1)...)
		}
		if w.one(3) {
			s = w.withBackend(s)
		}
	}
	backends := s.Backends.Slice()
	for i, b := range backends {
		b = new(*b)
		backends[i] = b
		if fresh || w.one(2) {
			b.Servers = w.servers()
		}
		if b.Policy.Mode == haproxy.HTTP && w.one(3) {
			b.TimeoutServer = time.Duration(w.rand.IntN(3)*20) * time.Second
		}
	}
	s.Backends = haproxy.ListOf(backends...)
	s.Frontends, s.Routes = w.frontends(backends, have)
	return s
}

// one is true once in n calls on average.
func (w *world) one(n int) bool { return w.rand.IntN(n) == 0 }

// withBackend returns s with one more HTTP backend, a copy of an existing one.
func (w *world) withBackend(s haproxy.State) haproxy.State {
	name := w.names[w.rand.IntN(4)]
	if _, ok := s.Backend(name); ok {
		return s
	}
	for _, b := range s.Backends.All() {
		if b.Dynamic() {
			another := *b
			another.Name = name
			return s.WithBackends([]*haproxy.Backend{&another}, nil)
		}
	}
	return s
}

func (w *world) backends() []*haproxy.Backend {
	var all []*haproxy.Backend
	for i, name := range w.names {
		if w.one(3) {
			continue
		}
		b := &haproxy.Backend{Name: name, Options: haproxy.Options{Protocol: haproxy.Plain}}
		b.Policy = haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.Balances()[w.rand.IntN(5)]}
		switch {
		case i >= 4:
			b.Policy.Mode = haproxy.TCP
		case w.one(3):
			b.Policy.Cookie, b.Policy.CookieKey = "SERVERID", "secret"
		case w.one(4):
			b.Policy.ClientAffinity = time.Minute
		}
		if w.one(2) {
			b.Options.Check, b.Options.CheckInterval = true, time.Second
		}
		if w.one(4) {
			b.Options.MaxConn = 100
		}
		all = append(all, b)
	}
	return all
}

func (w *world) servers() []haproxy.Server {
	var all []haproxy.Server
	for _, pod := range w.pods {
		switch w.rand.IntN(5) {
		case 0, 1:
			all = append(all, haproxy.Server{Addr: pod, State: haproxy.Ready})
		case 2:
			all = append(all, haproxy.Server{Addr: pod, State: haproxy.Drain})
		}
	}
	return all
}

func (w *world) frontends(backends []*haproxy.Backend, have haproxy.State) ([]haproxy.Frontend, []haproxy.Route) {
	binds := w.http[:1]
	if w.one(10) {
		binds = w.http
	}
	frontends := []haproxy.Frontend{{Name: "http", Mode: haproxy.HTTP, Binds: binds, Relay: w.relay}}
	var routes []haproxy.Route
	var leading []string
	for _, b := range backends {
		if b.Policy.Mode == haproxy.TCP {
			bind := w.tcp[len(frontends)-1]
			frontends = append(frontends, haproxy.Frontend{Name: "tcp_" + b.Name, Mode: haproxy.TCP, Binds: []netip.AddrPort{bind}, Backend: b.Name})
			continue
		}
		leading = append(leading, b.Name)
	}
	if len(leading) == 0 {
		return frontends, nil
	}
	for i := range 8 {
		if w.one(5) {
			continue
		}
		r := haproxy.Route{Path: haproxy.PathPrefix(fmt.Sprintf("/r%d", i)), Backend: leading[w.rand.IntN(len(leading))]}
		if i == 7 {
			r.FoldCase = true
		}
		if i%2 == 0 {
			r.Rewrite = "/"
		}
		// Most routes keep their backend.
		for _, old := range have.Routes {
			if old.Path == r.Path && slices.Contains(leading, old.Backend) && !w.one(4) {
				r = old
			}
		}
		routes = append(routes, r)
	}
	slices.SortFunc(routes, haproxy.Route.Compare)
	return frontends, routes
}

// watch sends the requests that must not fail between two States.
type watch struct {
	cancel   context.CancelFunc
	wait     sync.WaitGroup
	requests atomic.Int64
	mu       sync.Mutex
	failures []string
}

func newWatch(have, want haproxy.State) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{cancel: cancel}
	before, after := reachable(have), reachable(want)
	for url := range before {
		if after[url] {
			w.wait.Go(func() { w.ask(ctx, url) })
		}
	}
	return w
}

// reachable returns the URLs that a ready server answers.
func reachable(s haproxy.State) map[string]bool {
	urls := map[string]bool{}
	for _, f := range s.Frontends {
		if f.Backend != "" && serves(s, f.Backend) {
			urls["http://"+f.Binds[0].String()+"/"] = true
		}
		for _, r := range s.Routes {
			if f.Backend == "" && serves(s, r.Backend) {
				urls["http://"+f.Binds[0].String()+string(r.Path)] = true
			}
		}
	}
	return urls
}

// serves reports whether the backend has a ready server.
func serves(s haproxy.State, backend string) bool {
	b, _ := s.Backend(backend)
	return slices.ContainsFunc(b.Servers, func(srv haproxy.Server) bool { return srv.State == haproxy.Ready })
}

// ask requests the URL until ctx ends, in turn on a kept connection and on a new one.
func (w *watch) ask(ctx context.Context, url string) {
	kept := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer kept.CloseIdleConnections()
	short := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	for ctx.Err() == nil {
		for _, c := range []*http.Client{kept, short} {
			w.requests.Add(1)
			resp, err := c.Get(url)
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					continue
				}
				err = fmt.Errorf("%s", resp.Status)
			}
			w.mu.Lock()
			w.failures = append(w.failures, fmt.Sprintf("%s: %v", url, err))
			w.mu.Unlock()
			return
		}
	}
}

func (w *watch) stop() (failures []string, requests int) {
	w.cancel()
	w.wait.Wait()
	slices.SortFunc(w.failures, func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return w.failures, int(w.requests.Load())
}
