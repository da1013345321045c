// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"podgate/kubeapi/kubeapitest"
)

// namespace holds the whole shop.
const namespace = "shop"

// kind is what a Service of the shop is, and how it is reached.
type kind struct {
	name        string
	annotations map[string]string // without their prefix
	pods        int               // to begin with, and to stay near
	host        string            // "" for any
	path        string
	port        uint16 // of a TCP frontend; zero for HTTP
	hint        string // how it is reached, for the header
	did         string // what podgate did with a request, for the answer
}

// kinds returns the Services that stand from start to end, the TCP one on that
// port of the edge.
func kinds(tcp uint16) []kind {
	return []kind{{
		name: "storefront", pods: 4, host: "shop.example.com", path: "/",
		annotations: map[string]string{"host": "shop.example.com"},
		hint:        "by host",
		did:         "found the Service by its host",
	}, {
		name: "cart", pods: 3, path: "/cart/",
		annotations: map[string]string{"cookie-sticky-session": "true"},
		hint:        "by name, with a cookie",
		did:         "cut /cart off the path; its cookie keeps you on this pod",
	}, {
		name: "catalog", pods: 5, path: "/catalog/",
		annotations: map[string]string{"path": "/catalog"},
		hint:        "by path",
		did:         "found the Service by its path",
	}, {
		name: "checkout", pods: 3, path: "/checkout/",
		annotations: map[string]string{"algorithm": "leastconn"},
		hint:        "by name, leastconn",
		did:         "cut /checkout off the path; took the pod with the fewest connections",
	}, {
		name: "stock", pods: 2, path: "/", port: tcp,
		annotations: map[string]string{"tcp": strconv.Itoa(int(tcp))},
		hint:        "by a TCP port",
		did:         "passed the TCP connection on",
	}}
}

// sale returns the n-th of the Services that come and go.
func sale(n int) kind {
	name := "sale-" + strconv.Itoa(n)
	return kind{name: name, pods: 2, path: "/" + name + "/", hint: "by name", did: "cut /" + name + " off the path"}
}

// pace is how fast things happen in the shop.
type pace struct {
	settle   time.Duration // from a new pod to the end of the one that it replaces
	unlisted time.Duration // from a pod's end, told as terminating, to its endpoint's removal
	grace    time.Duration // from its last request after that to its shutdown
	rest     time.Duration // between two changes of a Service, about
}

func usualPace() pace {
	return pace{settle: 200 * time.Millisecond, unlisted: 300 * time.Millisecond, grace: 3 * time.Second, rest: time.Second}
}

// shop is the cluster: what its controllers and its kubelets do.
type shop struct {
	api   *kubeapitest.Server
	tally *tally
	pace  pace

	leaving sync.WaitGroup // goroutines that end pods
	mu      sync.Mutex
	net     byte // second octet of all addresses
	started int  // pods, ever
	running map[*pod]bool
}

func newShop(api *kubeapitest.Server, t *tally, p pace) *shop {
	// Another net than that of a second demo beside this one, most likely.
	return &shop{api: api, tally: t, pace: p, net: byte(1 + rand.N(254)), running: map[*pod]bool{}}
}

// start returns a new pod, which listens.
func (s *shop) start(k kind) (*pod, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started++
	// 127.n.0.1 to 127.n.255.254, and again: pods are gone long before.
	n := 1 + s.started%0xfffe
	p, err := startPod(fmt.Sprintf("%s-%d", k.name, s.started), k, netip.AddrFrom4([4]byte{127, s.net, byte(n >> 8), byte(n)}))
	if err == nil {
		s.running[p] = true
	}
	return p, err
}

// leave ends a pod in good order.
func (s *shop) leave(ctx context.Context, p *pod) {
	p.leave(ctx, s.pace.grace)
	if ctx.Err() != nil {
		return // close ends it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, p)
}

// close ends all pods at once. Whatever changes the shop has ended before.
func (s *shop) close() {
	s.leaving.Wait()
	for p := range s.running {
		p.close()
	}
}
