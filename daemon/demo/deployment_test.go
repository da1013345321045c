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
	must(t, err)
	t.Cleanup(cluster.Stop)
	client, err := kubeapi.New(kubeapi.Config{Server: cluster.URL(), Namespaces: []string{namespace}, UserAgent: "test"}, slog.New(slog.DiscardHandler))
	must(t, err)
	s := newShop(cluster, new(tally), pace{unlisted: 50 * time.Millisecond, grace: 100 * time.Millisecond})
	t.Cleanup(s.close)
	return &quickShop{s, client}
}

func (s *quickShop) deploy(t *testing.T, ctx context.Context, k kind) *deployment {
	t.Helper()
	d, err := s.shop.deploy(ctx, k)
	must(t, err)
	return d
}

// listed returns the endpoints that the API server shows, by name and condition.
func (s *quickShop) listed(t *testing.T, service string) []string {
	t.Helper()
	snapshot, err := s.client.List(t.Context())
	must(t, err)
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
	must(t, edgetest.Await(t.Context(), "endpoints of "+service, func() error {
		if diff := cmp.Diff(want, s.listed(t, service)); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	}))
}

func TestChangeAddsPodsAndTerminatesTheOldest(t *testing.T) {
	s := newQuickShop(t)
	s.pace.unlisted = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	d := s.deploy(t, ctx, kind{name: "cart", pods: 2})
	s.await(t, "cart", "cart-1 ready", "cart-2 ready")
	must(t, d.change(ctx, 1, 2))
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
	must(t, d.roll(t.Context()))
	s.await(t, "cart", "cart-4 ready", "cart-5 ready", "cart-6 ready")
}

func TestScaleAndMove(t *testing.T) {
	s := newQuickShop(t)
	d := s.deploy(t, t.Context(), kind{name: "cart", pods: 1})
	for _, n := range []int{3, 2} {
		must(t, d.scale(t.Context(), n))
	}
	s.await(t, "cart", "cart-2 ready", "cart-3 ready")
	must(t, d.move(t.Context()))
	s.await(t, "cart", "cart-4 ready", "cart-5 ready")
}

func TestRemoveDeletesEverything(t *testing.T) {
	s := newQuickShop(t)
	d := s.deploy(t, t.Context(), kind{name: "cart", pods: 2})
	must(t, d.remove(t.Context()))
	s.await(t, "cart")
	s.leaving.Wait()
	snapshot, err := s.client.List(t.Context())
	must(t, err)
	if len(snapshot.Services)+snapshot.Slices.Len()+len(s.running) > 0 {
		t.Errorf("%d Services, %d of them with slices, %d pods are left", len(snapshot.Services), snapshot.Slices.Len(), len(s.running))
	}
}

// must fails the test with err.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
