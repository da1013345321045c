// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

func TestFollowChanges(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*testing.T, *kubeapitest.Server)
		wanted func(*kubeapi.Snapshot) bool
	}{
		{
			name:   "a new Service",
			change: func(t *testing.T, s *kubeapitest.Server) { setService(t, s, "pay") },
			wanted: func(s *kubeapi.Snapshot) bool { return slices.Equal(serviceNames(s), []string{"cart", "pay"}) },
		},
		{
			name:   "a removed Service",
			change: func(_ *testing.T, s *kubeapitest.Server) { s.Delete("Service", "shop", "cart") },
			wanted: func(s *kubeapi.Snapshot) bool { return len(s.Services) == 0 },
		},
		{
			name:   "an added pod",
			change: func(t *testing.T, s *kubeapitest.Server) { setSlice(t, s, "cart", "10.0.0.1", "10.0.0.2") },
			wanted: func(s *kubeapi.Snapshot) bool {
				return slices.Equal(addresses(s, "cart"), []string{"10.0.0.1", "10.0.0.2"})
			},
		},
		{
			name:   "scaling to zero",
			change: func(t *testing.T, s *kubeapitest.Server) { setSlice(t, s, "cart") },
			wanted: func(s *kubeapi.Snapshot) bool {
				return len(addresses(s, "cart")) == 0 && len(s.Slices.Of(kubeapi.Key{Namespace: "shop", Name: "cart"})) == 1
			},
		},
		{
			name:   "a removed slice",
			change: func(_ *testing.T, s *kubeapitest.Server) { s.Delete("EndpointSlice", "shop", "cart-1") },
			wanted: func(s *kubeapi.Snapshot) bool { return s.Slices.Len() == 0 },
		},
	} {
		for mode, config := range map[string]func(*kubeapitest.Server) kubeapi.Config{"watched": watching, "streamed": watching, "polled": polling} {
			t.Run(tt.name+" is "+mode, func(t *testing.T) {
				t.Parallel()
				s := serve(t, "cart")
				if mode == "streamed" {
					s = serveStreams(t, "cart")
				}
				f := follow(t, config(s))
				f.untilServices("cart")
				tt.change(t, s)
				f.until("the change", tt.wanted)
			})
		}
	}
}

func TestFollowIgnoresOtherNamespaces(t *testing.T) {
	s := serve(t, "cart")
	cfg := watching(s)
	f := follow(t, cfg)
	f.untilServices("cart")
	if err := s.SetService(kubeapi.Service{Key: kubeapi.Key{Namespace: "bank", Name: "vault"}}); err != nil {
		t.Fatal(err)
	}
	setService(t, s, "pay")
	f.untilServices("cart", "pay")
}

func TestFollowAllNamespaces(t *testing.T) {
	s := serve(t, "cart")
	if err := s.SetService(kubeapi.Service{Key: kubeapi.Key{Namespace: "bank", Name: "vault"}}); err != nil {
		t.Fatal(err)
	}
	cfg := watching(s)
	cfg.Namespaces = []string{kubeapi.AllNamespaces}
	f := follow(t, cfg)
	f.untilServices("vault", "cart")
	eventually(t, "two watches", func() bool { return s.Watching() == 2 })
	if got := s.Lists(); got != 2 {
		t.Errorf("%d lists, want 2: one of each resource", got)
	}
}

func TestFollowSelector(t *testing.T) {
	const cart = `
kind: Service
metadata: {namespace: shop, name: cart, labels: {edge: %q}}
`
	s := serve(t, "pay")
	apply := func(edge string) {
		t.Helper()
		if err := s.Apply(fmt.Sprintf(cart, edge)); err != nil {
			t.Fatal(err)
		}
	}
	apply("yes")
	cfg := watching(s)
	cfg.Selector = "edge=yes"
	f := follow(t, cfg)
	snapshot := f.untilServices("cart")
	if snapshot.Slices.Len() != 1 {
		t.Errorf("slices were selected by labels of Services: %s", describe(snapshot))
	}
	apply("no")
	f.untilServices()
	apply("yes")
	f.untilServices("cart")
}

func TestFollowKeepsPointersOfUnchangedObjects(t *testing.T) {
	for mode, config := range map[string]func(*kubeapitest.Server) kubeapi.Config{"watched": watching, "polled": polling} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart", "pay")
			f := follow(t, config(s))
			before := f.untilServices("cart", "pay")
			setService(t, s, "zoo")
			setSlice(t, s, "pay", "10.0.0.9")
			after := f.until("both changes", func(s *kubeapi.Snapshot) bool {
				return len(s.Services) == 3 && slices.Equal(addresses(s, "pay"), []string{"10.0.0.9"})
			})
			cart := kubeapi.Key{Namespace: "shop", Name: "cart"}
			if before.Services[0] != after.Services[0] || before.Slices.Of(cart)[0] != after.Slices.Of(cart)[0] {
				t.Error("an unchanged object has another pointer")
			}
			if got := addresses(before, "pay"); !slices.Equal(got, []string{"10.0.0.1"}) || len(before.Services) != 2 {
				t.Errorf("the older Snapshot changed: %s, pay %v", describe(before), got)
			}
		})
	}
}

func TestFollowCountsCompleteLists(t *testing.T) {
	s := serve(t, "cart")
	f := follow(t, polling(s))
	for want := 1; want <= 3; want++ {
		got := f.until("a complete list", func(s *kubeapi.Snapshot) bool { return true })
		if got.Complete < want {
			t.Fatalf("complete %d, want %d or more", got.Complete, want)
		}
	}
	if len(f.logs.lines("")) > 0 {
		t.Errorf("passes without a change are not silent: %q", f.logs.lines(""))
	}
}

func TestFollowWithoutCapacityPanics(t *testing.T) {
	c := newClient(t, watching(serve(t)), &logBook{})
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_ = c.Follow(t.Context(), make(chan *kubeapi.Snapshot))
}

func TestFollowSendsNoPartialSnapshot(t *testing.T) {
	for _, tt := range []struct {
		name string
		what kubeapitest.Misbehaviour
		want string
	}{
		{
			name: "one namespace is forbidden",
			what: kubeapitest.Forbid("list", "services", "bank"),
			want: `level=ERROR msg="API server forbids a list" server=URL err="list services in namespace \"bank\": 403 Forbidden: services is forbidden: User \"edge\" cannot list resource \"services\" in API group \"\" in the namespace \"bank\" (its role needs the rule {apiGroups: [\"\"], resources: [services], verbs: [list]})"`,
		},
		{
			name: "endpointslices are forbidden in one namespace",
			what: kubeapitest.Forbid("list", "endpointslices", "bank"),
			want: `level=ERROR msg="API server forbids a list" server=URL err="list endpointslices in namespace \"bank\": 403 Forbidden: endpointslices is forbidden: User \"edge\" cannot list resource \"endpointslices\" in API group \"discovery.k8s.io\" in the namespace \"bank\" (its role needs the rule {apiGroups: [\"discovery.k8s.io\"], resources: [endpointslices], verbs: [list]})"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart")
			s.Misbehave(tt.what)
			cfg := watching(s)
			cfg.Namespaces = []string{"shop", "bank"}
			f := follow(t, cfg)
			f.noneUntil("ten lists", func() bool { return s.Lists() >= 10 })
			want := []string{strings.ReplaceAll(tt.want, "URL", s.URL())}
			if diff := cmp.Diff(want, f.logs.lines("forbids")); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			s.Behave()
			f.untilServices("cart")
			if got := f.logs.lines("API server allows the list"); len(got) != 1 {
				t.Errorf("logged the end %d times, want once: %q", len(got), got)
			}
		})
	}
}

func TestRelistRequestsAllResources(t *testing.T) {
	for mode, config := range map[string]func(*kubeapitest.Server) kubeapi.Config{"watched": watching, "streamed": watching, "polled": polling} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart")
			if mode == "streamed" {
				s = serveStreams(t, "cart")
			}
			var c *kubeapi.Client
			f := follow(t, config(s), func(client *kubeapi.Client) { c = client })
			first := f.untilServices("cart")
			s.Misbehave(kubeapitest.Hide("services")) // no watch sends this
			for n := 1; n <= 3; n++ {
				eventually(t, "another complete list", func() bool {
					c.Relist()
					select {
					case next := <-f.out:
						return next.Complete >= first.Complete+n && len(next.Services) == 0
					case <-time.After(100 * time.Millisecond):
						return false
					}
				})
			}
			s.Behave()
			c.Relist()
			f.untilServices("cart")
			if mode != "polled" {
				eventually(t, "watches again", func() bool { return s.Watching() == 2 })
			}
		})
	}
}
