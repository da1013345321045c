// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"podgate/daemon/edgetest"
)

// namespace holds all Services of the shop.
const namespace = edgetest.Namespace

// podPort is the port that a pod listens on if it is free.
const podPort = 8080

// kind describes a Service of the shop and how clients reach it.
type kind struct {
	name        string
	annotations map[string]string // without their prefix
	pods        int               // at first, and about that many later
	host        string            // "" for any
	path        string
	strip       string // the prefix that HAProxy removes from path
	port        uint16 // of a TCP frontend; zero for HTTP
	hint        string // how clients reach it, for the header
	did         string // what podgate did with a request, for the answer
}

// kinds returns the Services that exist from start to end, the TCP one on that
// port of the edge.
func kinds(tcp uint16) []kind {
	return []kind{{
		name: "storefront", pods: 4, host: "shop.example.com", path: "/",
		annotations: map[string]string{"host": "shop.example.com"},
		hint:        "by host",
		did:         "chose the Service by the host",
	}, {
		name: "cart", pods: 3, path: "/cart/", strip: "/cart",
		annotations: map[string]string{"cookie-sticky-session": "true"},
		hint:        "by name, with a cookie",
		did:         "removed /cart from the path; the cookie keeps you on this pod",
	}, {
		name: "catalog", pods: 5, path: "/catalog/",
		annotations: map[string]string{"path": "/catalog"},
		hint:        "by path",
		did:         "chose the Service by the path",
	}, {
		name: "checkout", pods: 3, path: "/checkout/", strip: "/checkout",
		annotations: map[string]string{"algorithm": "leastconn"},
		hint:        "by name, leastconn",
		did:         "removed /checkout from the path; chose the pod with the fewest connections",
	}, {
		name: "stock", pods: 2, path: "/", port: tcp,
		annotations: map[string]string{"tcp": strconv.Itoa(int(tcp))},
		hint:        "by a TCP port",
		did:         "passed the TCP connection on",
	}}
}

// sale returns the n-th of the Services that are added and removed.
func sale(n int) kind {
	name := "sale-" + strconv.Itoa(n)
	return kind{name: name, pods: 2, path: "/" + name + "/", strip: "/" + name, hint: "by name", did: "removed /" + name + " from the path"}
}

// target is the Service as clients reach it by HAProxy's HTTP frontend, or by a
// TCP port next to it.
func (k kind) target(http netip.AddrPort) edgetest.Target {
	if k.port != 0 {
		http = netip.AddrPortFrom(http.Addr(), k.port)
	}
	return edgetest.Target{
		Service: k.name, Request: edgetest.Request{Addr: http, Host: k.host, Path: k.path}, Strip: k.strip, TCP: k.port != 0,
	}
}

// pace is how fast the shop changes.
type pace struct {
	settle   time.Duration // from a new pod to the end of the one that it replaces
	unlisted time.Duration // from terminating to the removal of the endpoint
	grace    time.Duration // from the last request after that to the pod's shutdown
	rest     time.Duration // between two changes of a Service, about
}

func usualPace() pace {
	return pace{settle: 200 * time.Millisecond, unlisted: 300 * time.Millisecond, grace: 3 * time.Second, rest: time.Second}
}

// shop is the cluster and its pods: it does what Kubernetes' controllers and
// kubelets do.
type shop struct {
	cluster *edgetest.Cluster
	tally   *tally
	pace    pace

	leaving sync.WaitGroup // goroutines that end pods
	mu      sync.Mutex
	started int // pods, ever
	running map[*edgetest.Pod]bool
}

func newShop(c *edgetest.Cluster, t *tally, p pace) *shop {
	return &shop{cluster: c, tally: t, pace: p, running: map[*edgetest.Pod]bool{}}
}

// start returns a new pod, which listens.
func (s *shop) start(k kind) (*edgetest.Pod, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started++
	name := fmt.Sprintf("%s-%d", k.name, s.started)
	p, err := edgetest.StartPod(edgetest.PodOptions{
		Name: name, Port: podPort,
		Body: fmt.Sprintf("Service  %s/%s\nPod      %s\npodgate  %s\n", namespace, k.name, name, k.did),
	})
	if err == nil {
		s.running[p] = true
	}
	return p, err
}

// leave ends a pod after its requests have ended.
func (s *shop) leave(ctx context.Context, p *edgetest.Pod) {
	p.Leave(ctx, s.pace.grace)
	if ctx.Err() != nil {
		return // close ends it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, p)
}

// close ends all pods immediately. Everything that changes the shop has ended
// before.
func (s *shop) close() {
	s.leaving.Wait()
	for p := range s.running {
		p.Close()
	}
}
