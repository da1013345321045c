// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/edgetest"
	"podgate/kubeapi"
)

// quickShop is a shop where nothing takes long, and a client of its API server.
type quickShop struct {
	*shop
	client *kubeapi.Client
}

func newQuickShop(t *testing.T) *quickShop {
	t.Helper()
	cluster, err := edgetest.StartCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Stop)
	client, err := kubeapi.New(kubeapi.Config{Server: cluster.URL(), Namespaces: []string{namespace}, UserAgent: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(cluster, new(tally), pace{unlisted: 50 * time.Millisecond, grace: 100 * time.Millisecond})
	t.Cleanup(s.close)
	return &quickShop{s, client}
}

func (s *quickShop) deploy(t *testing.T, ctx context.Context, k kind) *deployment {
	t.Helper()
	d, err := s.shop.deploy(ctx, k)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// listed returns the endpoints that the API server shows, by name and condition.
func (s *quickShop) listed(t *testing.T, service string) []string {
	t.Helper()
	snapshot, err := s.client.List(t.Context())
	if err != nil {
		t.Fatal(err)
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

// await waits until the API server shows want.
func (s *quickShop) await(t *testing.T, service string, want ...string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		diff := cmp.Diff(want, s.listed(t, service))
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("endpoints of %s (-want +got):\n%s", service, diff)
		}
		edgetest.Pause(t.Context(), time.Millisecond)
	}
}

func TestChangeAddsPodsAndTerminatesTheOldest(t *testing.T) {
	s := newQuickShop(t)
	s.pace.unlisted = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	d := s.deploy(t, ctx, kind{name: "cart", pods: 2})
	s.await(t, "cart", "cart-1 ready", "cart-2 ready")
	if err := d.change(ctx, 1, 2); err != nil {
		t.Fatal(err)
	}
	s.await(t, "cart", "cart-1 terminating", "cart-2 terminating", "cart-3 ready")
	if got := d.size(); got != 1 {
		t.Errorf("size is %d, want 1", got)
	}
	if got, want := s.tally.now().endpoints, 5; got != want {
		t.Errorf("%d endpoint changes counted, want %d", got, want)
	}
}

func TestRollReplacesEveryPod(t *testing.T) {
	s := newQuickShop(t)
	d := s.deploy(t, t.Context(), kind{name: "cart", pods: 3})
	if err := d.roll(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await(t, "cart", "cart-4 ready", "cart-5 ready", "cart-6 ready")
}

func TestScaleAndMove(t *testing.T) {
	s := newQuickShop(t)
	d := s.deploy(t, t.Context(), kind{name: "cart", pods: 1})
	for _, n := range []int{3, 2} {
		if err := d.scale(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	s.await(t, "cart", "cart-2 ready", "cart-3 ready")
	if err := d.move(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await(t, "cart", "cart-4 ready", "cart-5 ready")
}

func TestRemoveDeletesEverything(t *testing.T) {
	s := newQuickShop(t)
	d := s.deploy(t, t.Context(), kind{name: "cart", pods: 2})
	if err := d.remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await(t, "cart")
	s.leaving.Wait()
	snapshot, err := s.client.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(snapshot.Services)+snapshot.Slices.Len()+len(s.running) > 0 {
		t.Errorf("%d Services, %d of them with slices, %d pods are left", len(snapshot.Services), snapshot.Slices.Len(), len(s.running))
	}
}
