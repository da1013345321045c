// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"fmt"
	"net/http"
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

// What cannot be listed in one namespace holds back only itself: the first Snapshot has the
// other namespace, and the Services that are known of this one.
func TestFollowSendsWhatItCanList(t *testing.T) {
	const forbids = `level=ERROR msg="API server forbids a list" server=URL err="list services in namespace \"bank\": 403 Forbidden: services is forbidden: User \"edge\" cannot list resource \"services\" in API group \"\" in the namespace \"bank\" (its role needs the rule {apiGroups: [\"\"], resources: [services], verbs: [list]})"`
	answer := func(code int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprint(w, text)
		}
	}
	breaks := func(resource string, answer http.HandlerFunc) []kubeapitest.Misbehaviour {
		return []kubeapitest.Misbehaviour{kubeapitest.Break("list", resource, "bank", answer), kubeapitest.Break("watch", resource, "bank", answer)}
	}
	for _, tt := range []struct {
		name   string
		what   []kubeapitest.Misbehaviour
		log    string // of the condition
		want   string
		unread []string
	}{
		{
			name: "one namespace is forbidden",
			what: []kubeapitest.Misbehaviour{kubeapitest.Forbid("list", "services", "bank")},
			log:  "forbids", want: forbids,
		},
		{
			name: "endpointslices are forbidden in one namespace",
			what: []kubeapitest.Misbehaviour{kubeapitest.Forbid("list", "endpointslices", "bank")},
			log:  "forbids", unread: []string{"bank"},
			want: `level=ERROR msg="API server forbids a list" server=URL err="list endpointslices in namespace \"bank\": 403 Forbidden: endpointslices is forbidden: User \"edge\" cannot list resource \"endpointslices\" in API group \"discovery.k8s.io\" in the namespace \"bank\" (its role needs the rule {apiGroups: [\"discovery.k8s.io\"], resources: [endpointslices], verbs: [list]})"`,
		},
		{
			name: "services of one namespace are not found",
			what: breaks("services", answer(404, `{"kind":"Status","apiVersion":"v1","message":"the test finds nothing","code":404}`)),
			log:  "forbids",
			want: `level=ERROR msg="API server forbids a list" server=URL err="list services in namespace \"bank\": 404 Not Found: the test finds nothing (is URL a Kubernetes API server, 1.21 or newer?)"`,
		},
		{
			name: "services of one namespace fail",
			what: breaks("services", answer(500, `{"kind":"Status","apiVersion":"v1","message":"etcd is slow","code":500}`)),
			log:  "unreachable",
			want: `level=WARN msg="API server unreachable" server=URL err="list services in namespace \"bank\": 500 Internal Server Error: etcd is slow"`,
		},
		{
			name: "endpointslices of one namespace are broken",
			what: breaks("endpointslices", answer(200, `{"kind":"EndpointSliceList","items":[{"metad`)),
			log:  "unreachable", unread: []string{"bank"},
			want: `level=WARN msg="API server unreachable" server=URL err="list endpointslices in namespace \"bank\": read answer: unexpected EOF"`,
		},
		{
			name: "services of one namespace hang",
			what: breaks("services", nil),
		},
		{
			name:   "endpointslices of one namespace hang",
			what:   breaks("endpointslices", nil),
			unread: []string{"bank"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart")
			vault := kubeapi.Key{Namespace: "bank", Name: "vault"}
			for _, key := range []kubeapi.Key{vault, {Namespace: "bank", Name: "new"}} {
				if err := s.SetService(kubeapi.Service{Key: key, Ports: []kubeapi.ServicePort{{Name: "http", Port: 80}}}); err != nil {
					t.Fatal(err)
				}
			}
			s.Misbehave(tt.what...)
			cfg := watching(s)
			cfg.Namespaces = []string{"shop", "bank"}
			cfg.Known = []*kubeapi.Service{
				{Key: vault, Ports: []kubeapi.ServicePort{{Name: "http", Port: 80}}},
				{Key: kubeapi.Key{Namespace: "gone", Name: "other"}}, // of a namespace that is not followed any more
			}
			f := follow(t, cfg)
			bank := []string{"vault"}
			if len(tt.unread) > 0 {
				bank = []string{"new", "vault"} // its Services can be listed
			}
			first := f.untilServices(append(bank, "cart")...)
			if diff := cmp.Diff(tt.unread, first.Unread); diff != "" {
				t.Errorf("unread (-want +got):\n%s", diff)
			}
			setService(t, s, "pay")
			setSlice(t, s, "cart", "10.0.0.7")
			f.until("both changes in shop", func(s *kubeapi.Snapshot) bool {
				return slices.Equal(serviceNames(s), append(slices.Clone(bank), "cart", "pay")) && slices.Equal(addresses(s, "cart"), []string{"10.0.0.7"})
			})
			if tt.want != "" {
				want := []string{strings.ReplaceAll(tt.want, "URL", s.URL())}
				eventually(t, "ten lists", func() bool { return s.Lists() >= 10 })
				if diff := cmp.Diff(want, f.logs.lines(tt.log)); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
			}
			s.Behave()
			last := f.until("everything", func(s *kubeapi.Snapshot) bool { return len(s.Unread) == 0 && len(s.Services) == 4 })
			if last.Complete < 1 {
				t.Errorf("complete %d", last.Complete)
			}
			if tt.log == "forbids" {
				if got := f.logs.lines("API server allows the list"); len(got) != 1 {
					t.Errorf("logged the end %d times, want once: %q", len(got), got)
				}
			}
		})
	}
}

// Without Services that were known before, a Snapshot needs all of one namespace, and a
// caller that has lost what it knew gets none that lacks anything.
func TestFollowDoesNotTakeUnreadForEmpty(t *testing.T) {
	for _, row := range []struct {
		name      string
		forbidden []string // resources in namespace shop
		whole     bool
	}{
		{"the Services of the only namespace are forbidden", []string{"services"}, false},
		{"the EndpointSlices of the only namespace are forbidden", []string{"endpointslices"}, false},
		{"another namespace is forbidden, and what was known is lost", nil, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart")
			cfg := watching(s)
			if cfg.Whole = row.whole; row.whole {
				cfg.Namespaces = []string{"shop", "bank"}
				s.Misbehave(kubeapitest.Forbid("list", "services", "bank"))
			}
			for _, resource := range row.forbidden {
				s.Misbehave(kubeapitest.Forbid("list", resource, "shop"))
			}
			f := follow(t, cfg)
			f.noneUntil("ten lists", func() bool { return s.Lists() >= 10 })
			s.Behave()
			f.untilServices("cart")
		})
	}
}

// A removal that is held waits for a complete list. A namespace that became forbidden
// meanwhile does not prevent it.
func TestAForbiddenNamespaceDoesNotPreventACompleteList(t *testing.T) {
	s := serve(t, "cart")
	cfg := watching(s)
	cfg.Namespaces = []string{"shop", "bank"}
	var c *kubeapi.Client
	f := follow(t, cfg, func(client *kubeapi.Client) { c = client })
	first := f.untilServices("cart")
	s.Misbehave(kubeapitest.Forbid("list", "services", "bank"), kubeapitest.Forbid("watch", "services", "bank"))
	eventually(t, "another complete list", func() bool {
		c.Relist()
		select {
		case next := <-f.out:
			return next.Complete > first.Complete
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
	if listed := c.Status().Listed; listed.IsZero() {
		t.Error("no list of everything is recorded")
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
