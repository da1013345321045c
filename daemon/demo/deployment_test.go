// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// quickShop is a shop where nothing takes long, with what the API server says.
type quickShop struct {
	*shop
	t      *testing.T
	client *kubeapi.Client
}

func newQuickShop(t *testing.T) *quickShop {
	api := kubeapitest.Run(t)
	client, err := kubeapi.New(kubeapi.Config{Server: api.URL(), Namespaces: []string{namespace}, UserAgent: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(api, new(tally), pace{unlisted: 50 * time.Millisecond, grace: 100 * time.Millisecond})
	t.Cleanup(s.close)
	return &quickShop{s, t, client}
}

func (s *quickShop) deploy(ctx context.Context, k kind) *deployment {
	s.t.Helper()
	d, err := s.shop.deploy(ctx, k)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// listed returns the endpoints that the API server shows, by name and
// condition.
func (s *quickShop) listed(service string) []string {
	s.t.Helper()
	snapshot, err := s.client.List(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, slice := range snapshot.Slices.Of(kubeapi.Key{Namespace: namespace, Name: service}) {
		for _, e := range slice.Endpoints {
			switch {
			case e.Ready && e.Serving && !e.Terminating:
				all = append(all, e.Pod+" ready")
			case !e.Ready && e.Serving && e.Terminating:
				all = append(all, e.Pod+" terminating")
			default:
				all = append(all, fmt.Sprintf("%+v", e))
			}
		}
	}
	slices.Sort(all)
	return all
}

// ports returns the port of each slice.
func (s *quickShop) ports(service string) []uint16 {
	s.t.Helper()
	snapshot, err := s.client.List(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var all []uint16
	for _, slice := range snapshot.Slices.Of(kubeapi.Key{Namespace: namespace, Name: service}) {
		all = append(all, slice.Ports[0].Port)
	}
	return all
}

// await waits until the API server shows want.
func (s *quickShop) await(service string, want ...string) {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		diff := cmp.Diff(want, s.listed(service))
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("endpoints of %s (-want +got):\n%s", service, diff)
		}
		pause(s.t.Context(), time.Millisecond)
	}
}

func TestChangeShowsNewPodsAndTakesTheOldestAway(t *testing.T) {
	s := newQuickShop(t)
	s.pace.unlisted = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	d := s.deploy(ctx, kind{name: "cart", pods: 2})
	s.await("cart", "cart-1 ready", "cart-2 ready")
	if err := d.change(ctx, 1, 2); err != nil {
		t.Fatal(err)
	}
	s.await("cart", "cart-1 terminating", "cart-2 terminating", "cart-3 ready")
	if got := d.size(); got != 1 {
		t.Errorf("size is %d, want 1", got)
	}
	if got, want := s.tally.now().endpoints, 5; got != want {
		t.Errorf("%d endpoint changes counted, want %d", got, want)
	}
}

func TestRollReplacesEveryPod(t *testing.T) {
	s := newQuickShop(t)
	d := s.deploy(t.Context(), kind{name: "cart", pods: 3})
	if err := d.roll(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await("cart", "cart-4 ready", "cart-5 ready", "cart-6 ready")
}

func TestScaleAndMove(t *testing.T) {
	s := newQuickShop(t)
	d := s.deploy(t.Context(), kind{name: "cart", pods: 1})
	for _, n := range []int{3, 2} {
		if err := d.scale(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	s.await("cart", "cart-2 ready", "cart-3 ready")
	if err := d.move(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await("cart", "cart-4 ready", "cart-5 ready")
}

func TestRemoveLeavesNothingInTheCluster(t *testing.T) {
	s := newQuickShop(t)
	d := s.deploy(t.Context(), kind{name: "cart", pods: 2})
	if err := d.remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await("cart")
	s.leaving.Wait()
	snapshot, err := s.client.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(snapshot.Services)+snapshot.Slices.Len()+len(s.running) > 0 {
		t.Errorf("%d Services, %d of them with slices, %d pods are left", len(snapshot.Services), snapshot.Slices.Len(), len(s.running))
	}
}

func TestSlicesAreOnePerPort(t *testing.T) {
	s := newQuickShop(t)
	taken, err := net.Listen("tcp", fmt.Sprintf("127.%d.0.2:%d", s.net, podPort)) // the first pod's
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d := s.deploy(t.Context(), kind{name: "cart", pods: 2})
	s.await("cart", "cart-1 ready", "cart-2 ready")
	if ports := s.ports("cart"); len(ports) != 2 {
		t.Fatalf("slices for the ports %v, want two", ports)
	}
	if err := d.scale(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.await("cart", "cart-2 ready")
	if diff := cmp.Diff([]uint16{podPort}, s.ports("cart")); diff != "" {
		t.Errorf("slices for the ports (-want +got):\n%s", diff)
	}
}

func TestPodLeavesAfterItsRequestsAndAGrace(t *testing.T) {
	const grace = 100 * time.Millisecond
	p, err := newQuickShop(t).start(kind{name: "cart"})
	if err != nil {
		t.Fatal(err)
	}
	p.begin() // a request
	left := make(chan struct{})
	go func() {
		defer close(left)
		p.leave(t.Context(), grace)
	}()
	select {
	case <-left:
		t.Fatal("the pod left with a request running")
	case <-time.After(2 * grace):
	}
	ended := time.Now()
	p.end()
	<-left
	if took := time.Since(ended); took < grace {
		t.Errorf("the pod left %v after its last request, want %v at the least", took, grace)
	}
	if conn, err := net.Dial("tcp", p.addr.String()); err == nil {
		conn.Close()
		t.Error("the pod listens after it left")
	}
}

func TestPodSaysWhoAnswers(t *testing.T) {
	p, err := newQuickShop(t).start(kind{name: "cart", did: "cut /cart off the path"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	resp, err := http.Get("http://" + p.addr.String() + "/items")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`Service  shop/cart
Pod      cart-1 at ADDR
Path     /items
podgate  cut /cart off the path
`, "ADDR", p.addr.String())
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := resp.Header.Get(serviceHeader); got != "cart" {
		t.Errorf("%s: %q, want cart", serviceHeader, got)
	}
}
