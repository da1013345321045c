// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// network is one in memory, with one server on it, so that hours pass in a
// moment.
type network struct {
	t *testing.T

	mu     sync.Mutex
	server *pipeServer // nil while it is away
	black  bool        // it swallows what is sent instead
	dials  []time.Time
}

type pipeServer struct {
	http  *http.Server
	conns chan net.Conn
	ended chan struct{}
}

// inBubble runs test with a clock and a network of its own.
func inBubble(t *testing.T, test func(*testing.T, *network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &network{t: t}
		t.Cleanup(n.stop)
		test(t, n)
	})
}

// serve makes the server come up.
func (n *network) serve(handler http.Handler) {
	s := &pipeServer{http: &http.Server{Handler: handler}, conns: make(chan net.Conn), ended: make(chan struct{})}
	go s.http.Serve(s)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server = s
}

// stop ends the server and every connection to it.
func (n *network) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		n.server.http.Close()
		n.server = nil
	}
}

// swallow makes the network lose every new connection, or no longer.
func (n *network) swallow(black bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.black = black
}

// since returns how many connections were asked for from a time on.
func (n *network) since(from time.Time) (dials []time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, at := range n.dials {
		if !at.Before(from) {
			dials = append(dials, at.Sub(from))
		}
	}
	return dials
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	server, black := n.server, n.black
	n.dials = append(n.dials, time.Now())
	n.mu.Unlock()
	if black {
		select {
		case <-time.After(2 * time.Second): // as dial does
		case <-ctx.Done():
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("i/o timeout")}
	}
	if server == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	select {
	case server.conns <- theirs:
		return ours, nil
	case <-server.ended:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
}

// A pipeServer is the listener of its server.
func (s *pipeServer) Accept() (net.Conn, error) {
	select {
	case conn := <-s.conns:
		return conn, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

func (s *pipeServer) Close() error   { close(s.ended); return nil }
func (s *pipeServer) Addr() net.Addr { return &net.TCPAddr{} }

// client returns a Client on the network.
func (n *network) client(t *testing.T, cfg kubeapi.Config, logs *logBook) *kubeapi.Client {
	t.Helper()
	c := newClient(t, cfg, logs)
	c.SetDial(n.dial)
	return c
}

// polling5s is what podgate.toml says by default, but for the watch.
func polling5s() kubeapi.Config {
	return kubeapi.Config{
		Server:         "http://192.0.2.10:6443",
		Namespaces:     []string{"shop"},
		PollInterval:   5 * time.Second,
		ResyncInterval: 10 * time.Minute,
	}
}

func watching10m() kubeapi.Config {
	cfg := polling5s()
	cfg.Watch = true
	return cfg
}

// edge is a Client that follows on a network.
type edge struct {
	out    chan *kubeapi.Snapshot
	logs   *logBook
	cancel context.CancelFunc
	ended  chan struct{}
}

func (n *network) follow(t *testing.T, cfg kubeapi.Config) *edge {
	t.Helper()
	e := &edge{out: make(chan *kubeapi.Snapshot, 1), logs: &logBook{}, ended: make(chan struct{})}
	c := n.client(t, cfg, e.logs)
	var ctx context.Context
	ctx, e.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(e.ended)
		_ = c.Follow(ctx, e.out)
	}()
	t.Cleanup(e.stop)
	return e
}

func (e *edge) stop() {
	e.cancel()
	<-e.ended
}

// inSync returns how long it took until a Snapshot has so many Services.
func (e *edge) inSync(t *testing.T, services int) time.Duration {
	t.Helper()
	began := time.Now()
	for deadline := time.After(time.Hour); ; {
		select {
		case s := <-e.out:
			if len(s.Services) == services {
				return time.Since(began)
			}
		case <-deadline:
			t.Fatalf("no Snapshot of %d Services; log:\n%q", services, e.logs.lines(""))
		}
	}
}

// shop returns a server of one Service that nothing but the network leads to.
func shop(t *testing.T, streams bool) *kubeapitest.Server {
	t.Helper()
	s := kubeapitest.New()
	setService(t, s, "cart")
	setSlice(t, s, "cart", "10.0.0.1")
	if !streams {
		s.RejectStreamedLists()
	}
	return s
}

func TestOutageOfAnyLengthIsToldOnceAndLeavesNothingBehind(t *testing.T) {
	modes := map[string]struct {
		cfg    kubeapi.Config
		within time.Duration
	}{
		"watched": {watching10m(), 2 * time.Second},
		"polled":  {polling5s(), 5 * time.Second},
	}
	ways := map[string]func(*network){
		"which refuses connections":     func(n *network) { n.stop() },
		"which swallows connections":    func(n *network) { n.swallow(true); n.stop() },
		"which answers that it is away": func(n *network) { n.stop(); n.serve(unavailable()) },
	}
	for mode, m := range modes {
		for way, away := range ways {
			for _, outage := range []time.Duration{10 * time.Second, time.Hour} {
				t.Run(mode+" "+outage.String()+" "+way, func(t *testing.T) {
					inBubble(t, func(t *testing.T, n *network) {
						s := shop(t, true)
						n.serve(s)
						e := n.follow(t, m.cfg)
						e.inSync(t, 1)
						time.Sleep(time.Minute)

						away(n)
						time.Sleep(outage / 10)
						before := liveBytes()
						time.Sleep(outage - outage/10)
						if grown := liveBytes() - before; grown > 1<<20 {
							t.Errorf("%d bytes more in memory after the outage", grown)
						}

						setService(t, s, "pay")
						n.stop()
						n.swallow(false)
						n.serve(s)
						within := m.within
						if way == "which swallows connections" {
							within += 2 * time.Second // until the last connection is given up
						}
						if took := e.inSync(t, 2); took > within {
							t.Errorf("in sync after %v, want %v at most", took, within)
						}
						time.Sleep(time.Minute)
						e.tells(t, "API server unreachable", "API server reachable")
					})
				})
			}
		}
	}
}

// unavailable answers as an API server without its etcd.
func unavailable() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "etcdserver: no leader", http.StatusServiceUnavailable)
	})
}

// tells fails unless the log has these messages, in this order, and no other,
// debugging apart.
func (e *edge) tells(t *testing.T, want ...string) {
	t.Helper()
	if got := e.logs.messages(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// liveBytes returns how much memory is in use after a collection.
func liveBytes() int64 {
	runtime.GC()
	runtime.GC() // what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestManyEdgesDoNotComeBackTogether: they lose the API server at the same
// moment, and it comes back for all of them at the same.
func TestManyEdgesDoNotComeBackTogether(t *testing.T) {
	const edges = 100
	for name, tt := range map[string]struct {
		cfg   kubeapi.Config
		round time.Duration // in which all come back
		lists int           // by each until then: who polls may have come back early and polled again
	}{"watching": {watching10m(), 2 * time.Second, 2}, "polling": {polling5s(), 5 * time.Second, 4}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *network) {
				s := shop(t, true)
				n.serve(s)
				var all []*edge
				for range edges {
					all = append(all, n.follow(t, tt.cfg))
				}
				for _, e := range all {
					e.inSync(t, 1)
				}
				n.stop()
				time.Sleep(20 * time.Second)
				lists, began := s.Lists(), time.Now()
				setService(t, s, "pay")
				n.serve(s)
				for _, e := range all {
					e.inSync(t, 2)
				}
				if took := time.Since(began); took > tt.round {
					t.Errorf("all are in sync after %v, want %v at most", took, tt.round)
				}
				if got := s.Lists() - lists; got > tt.lists*edges {
					t.Errorf("%d lists by %d edges, want %d each at most", got, edges, tt.lists)
				}
				// Evenly spread over the half of the round that is by chance, a
				// twentieth of it would see a tenth of them.
				tenths := make(map[time.Duration]int)
				for _, at := range n.since(began) {
					tenths[at/(tt.round/20)]++
				}
				for at, count := range tenths {
					if most := 2 * edges / 4; count > most {
						t.Errorf("%d connections between %v and the next twentieth of the round, want %d at most", count, at*(tt.round/20), most)
					}
				}
			})
		})
	}
}

// TestManyEdgesThatAreToldToWaitDoNotComeBackTogether: Retry-After is the same
// for all of them.
func TestManyEdgesThatAreToldToWaitDoNotComeBackTogether(t *testing.T) {
	const edges = 100
	inBubble(t, func(t *testing.T, n *network) {
		s := shop(t, false)
		var mu sync.Mutex
		refused := make(map[string]bool)
		again := make(map[time.Duration]int) // tenths of a second after the refusal
		began := time.Now()
		n.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			first := !refused[r.RemoteAddr+r.UserAgent()+r.URL.Path]
			refused[r.RemoteAddr+r.UserAgent()+r.URL.Path] = true
			if !first {
				again[time.Since(began)/(100*time.Millisecond)]++
			}
			mu.Unlock()
			if first {
				w.Header().Set("Retry-After", "2")
				http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests)
				return
			}
			s.ServeHTTP(w, r)
		}))
		var all []*edge
		for i := range edges {
			cfg := polling5s()
			cfg.UserAgent = fmt.Sprintf("edge-%d", i)
			all = append(all, n.follow(t, cfg))
		}
		for _, e := range all {
			if took := e.inSync(t, 1); took > 4*time.Second {
				t.Errorf("in sync after %v", took)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for at, count := range again {
			if at < 20 {
				t.Errorf("%d came back after %v, before they were asked to", count, at*100*time.Millisecond)
			}
			if most := 2 * edges / 4; count > most {
				t.Errorf("%d requests within a tenth of a second, want %d at most", count, most)
			}
		}
	})
}
