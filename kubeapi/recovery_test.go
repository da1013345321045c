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

// network is a network in memory with one server, for a synctest bubble.
type network struct {
	mu     sync.Mutex
	server *pipeServer // nil while it is down
	black  bool        // new connections time out
	dials  []time.Time
}

type pipeServer struct {
	http  *http.Server
	conns chan net.Conn
	ended chan struct{}
}

// inBubble runs test with its own clock and network.
func inBubble(t *testing.T, test func(*testing.T, *network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		t.Cleanup(n.stop)
		test(t, n)
	})
}

// serve starts the server.
func (n *network) serve(handler http.Handler) {
	s := &pipeServer{http: &http.Server{Handler: handler}, conns: make(chan net.Conn), ended: make(chan struct{})}
	go s.http.Serve(s)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server = s
}

// stop stops the server and closes every connection to it.
func (n *network) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		n.server.http.Close()
		n.server = nil
	}
}

// swallow sets whether new connections time out.
func (n *network) swallow(black bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.black = black
}

// since returns when connections were requested, as the time after from.
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
		case <-time.After(2 * time.Second): // the timeout of auth.dial
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

// connect makes a Client use the network.
func (n *network) connect(c *kubeapi.Client) { c.SetDial(n.dial) }

// polling5s returns the defaults of podgate.toml, without the watch.
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

// inSync waits for a Snapshot of so many Services, and returns how long that took.
func (f *following) inSync(services int) time.Duration {
	f.t.Helper()
	began := time.Now()
	f.until(fmt.Sprintf("%d Services", services), func(s *kubeapi.Snapshot) bool { return len(s.Services) == services })
	return time.Since(began)
}

// shop returns a server of one Service that listens on no port.
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

func TestOutageIsLoggedOnceAndUsesNoMemory(t *testing.T) {
	modes := map[string]struct {
		cfg    kubeapi.Config
		within time.Duration
	}{
		"watched": {watching10m(), 2 * time.Second},
		"polled":  {polling5s(), 5 * time.Second},
	}
	ways := map[string]func(*network){
		"with refused connections": func(n *network) { n.stop() },
		"with lost connections":    func(n *network) { n.swallow(true); n.stop() },
		"with answers of 503":      func(n *network) { n.stop(); n.serve(unavailable()) },
	}
	for mode, m := range modes {
		for way, away := range ways {
			for _, outage := range []time.Duration{10 * time.Second, time.Hour} {
				t.Run(mode+" "+outage.String()+" "+way, func(t *testing.T) {
					inBubble(t, func(t *testing.T, n *network) {
						s := shop(t, true)
						n.serve(s)
						f := follow(t, m.cfg, n.connect)
						f.inSync(1)
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
						if way == "with lost connections" {
							within += 2 * time.Second // the last connection times out
						}
						if took := f.inSync(2); took > within {
							t.Errorf("in sync after %v, want %v at most", took, within)
						}
						time.Sleep(time.Minute)
						want := []string{"API server unreachable", "API server reachable"}
						if got := f.logs.messages(); !slices.Equal(got, want) {
							t.Errorf("log %q, want %q", got, want)
						}
					})
				})
			}
		}
	}
}

// unavailable answers like an API server without etcd.
func unavailable() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "etcdserver: no leader", http.StatusServiceUnavailable)
	})
}

// liveBytes returns the bytes of the heap after a garbage collection.
func liveBytes() int64 {
	runtime.GC()
	runtime.GC() // frees the objects whose finalizers the first one ran
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestManyEdgesReturnAtDifferentTimes: all of them lose the API server at the same
// moment, and it returns for all of them at the same moment.
func TestManyEdgesReturnAtDifferentTimes(t *testing.T) {
	const edges = 100
	for name, tt := range map[string]struct {
		cfg   kubeapi.Config
		round time.Duration // in which all return
		lists int           // of each edge in the round: one that polls may return early and poll again
	}{"watching": {watching10m(), 2 * time.Second, 2}, "polling": {polling5s(), 5 * time.Second, 4}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *network) {
				s := shop(t, true)
				n.serve(s)
				var all []*following
				for range edges {
					all = append(all, follow(t, tt.cfg, n.connect))
				}
				for _, f := range all {
					f.inSync(1)
				}
				n.stop()
				time.Sleep(20 * time.Second)
				lists, began := s.Lists(), time.Now()
				setService(t, s, "pay")
				n.serve(s)
				for _, f := range all {
					f.inSync(2)
				}
				if took := time.Since(began); took > tt.round {
					t.Errorf("all are in sync after %v, want %v at most", took, tt.round)
				}
				if got := s.Lists() - lists; got > tt.lists*edges {
					t.Errorf("%d lists by %d edges, want %d each at most", got, edges, tt.lists)
				}
				// Up to half of each pause is random: spread evenly over half the round,
				// a twentieth of the round has a tenth of the edges.
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

// TestManyEdgesReturnAtDifferentTimesAfterRetryAfter: the server sends all of them
// the same Retry-After.
func TestManyEdgesReturnAtDifferentTimesAfterRetryAfter(t *testing.T) {
	const edges = 100
	inBubble(t, func(t *testing.T, n *network) {
		s := shop(t, false)
		var mu sync.Mutex
		rejected := make(map[string]bool)
		again := make(map[time.Duration]int) // by tenths of a second after the start
		began := time.Now()
		n.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			client := r.RemoteAddr + r.UserAgent() + r.URL.Path
			first := !rejected[client]
			rejected[client] = true
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
		var all []*following
		for i := range edges {
			cfg := polling5s()
			cfg.UserAgent = fmt.Sprintf("edge-%d", i)
			all = append(all, follow(t, cfg, n.connect))
		}
		for _, f := range all {
			if took := f.inSync(1); took > 4*time.Second {
				t.Errorf("in sync after %v", took)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for at, count := range again {
			if at < 20 {
				t.Errorf("%d edges returned after %v, before Retry-After", count, at*100*time.Millisecond)
			}
			if most := 2 * edges / 4; count > most {
				t.Errorf("%d requests within a tenth of a second, want %d at most", count, most)
			}
		}
	})
}
