// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// logBook keeps log lines without their time.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// lines returns the lines that hold text.
func (b *logBook) lines(text string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for line := range strings.Lines(b.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func (b *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// watching is a Config that follows the namespace shop of s, as fast as a test
// likes.
func watching(s *kubeapitest.Server) kubeapi.Config {
	return kubeapi.Config{
		Server:         s.URL(),
		Namespaces:     []string{"shop"},
		Watch:          true,
		PollInterval:   50 * time.Millisecond,
		ResyncInterval: time.Hour,
	}
}

func polling(s *kubeapitest.Server) kubeapi.Config {
	cfg := watching(s)
	cfg.Watch = false
	return cfg
}

// following is a Client that runs until the test ends.
type following struct {
	t    *testing.T
	out  chan *kubeapi.Snapshot
	logs *logBook
}

func follow(t *testing.T, cfg kubeapi.Config, options ...func(*kubeapi.Client)) *following {
	t.Helper()
	f := &following{t: t, out: make(chan *kubeapi.Snapshot, 1), logs: &logBook{}}
	c := newClient(t, cfg, f.logs)
	for _, option := range options {
		option(c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Follow(ctx, f.out) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow ended with %v, want context canceled", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", strings.Join(f.logs.lines(""), "\n"))
		}
	})
	return f
}

func newClient(t *testing.T, cfg kubeapi.Config, logs *logBook) *kubeapi.Client {
	t.Helper()
	c, err := kubeapi.New(cfg, logs.logger())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// until returns the first Snapshot that is as wanted.
func (f *following) until(wanted string, ok func(*kubeapi.Snapshot) bool) *kubeapi.Snapshot {
	f.t.Helper()
	deadline := time.After(20 * time.Second)
	var last *kubeapi.Snapshot
	for {
		select {
		case s := <-f.out:
			if ok(s) {
				return s
			}
			last = s
		case <-deadline:
			f.t.Fatalf("no Snapshot with %s; the last one: %s", wanted, describe(last))
		}
	}
}

// untilServices waits for a Snapshot of exactly these Services.
func (f *following) untilServices(names ...string) *kubeapi.Snapshot {
	f.t.Helper()
	return f.until(fmt.Sprintf("services %v", names), func(s *kubeapi.Snapshot) bool {
		return slices.Equal(serviceNames(s), names)
	})
}

// none fails if a Snapshot comes while ready is awaited.
func (f *following) noneUntil(what string, ready func() bool) {
	f.t.Helper()
	eventually(f.t, what, ready)
	select {
	case s := <-f.out:
		f.t.Fatalf("a Snapshot came too early: %s", describe(s))
	default:
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		if ok() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never came true: %s", what)
		}
	}
}

func serviceNames(s *kubeapi.Snapshot) []string {
	var names []string
	for _, svc := range s.Services {
		names = append(names, svc.Name)
	}
	return names
}

func describe(s *kubeapi.Snapshot) string {
	if s == nil {
		return "none"
	}
	return fmt.Sprintf("services %v, slices of %d, complete %d", serviceNames(s), len(s.Slices), s.Complete)
}

func serve(t *testing.T, names ...string) *kubeapitest.Server {
	t.Helper()
	s := kubeapitest.Run(t)
	for _, name := range names {
		setService(t, s, name)
		setSlice(t, s, name, "10.0.0.1")
	}
	return s
}

func setService(t *testing.T, s *kubeapitest.Server, name string) {
	t.Helper()
	err := s.SetService(kubeapi.Service{
		Key:   kubeapi.Key{Namespace: "shop", Name: name},
		Ports: []kubeapi.ServicePort{{Name: "http", Port: 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func setSlice(t *testing.T, s *kubeapitest.Server, service string, addrs ...string) {
	t.Helper()
	slice := kubeapi.EndpointSlice{
		Key:     kubeapi.Key{Namespace: "shop", Name: service + "-1"},
		Service: service,
		Ports:   []kubeapi.EndpointPort{{Name: "http", Port: 8080}},
	}
	for _, addr := range addrs {
		slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: netip.MustParseAddr(addr), Ready: true, Serving: true})
	}
	if err := s.SetSlice(slice); err != nil {
		t.Fatal(err)
	}
}

// addresses returns the endpoints of a Service of shop.
func addresses(s *kubeapi.Snapshot, service string) []string {
	var all []string
	for _, slice := range s.Slices[kubeapi.Key{Namespace: "shop", Name: service}] {
		for _, e := range slice.Endpoints {
			all = append(all, e.Addr.String())
		}
	}
	return all
}

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
			name:   "a Service that goes",
			change: func(_ *testing.T, s *kubeapitest.Server) { s.Delete("Service", "shop", "cart") },
			wanted: func(s *kubeapi.Snapshot) bool { return len(s.Services) == 0 },
		},
		{
			name:   "a pod more",
			change: func(t *testing.T, s *kubeapitest.Server) { setSlice(t, s, "cart", "10.0.0.1", "10.0.0.2") },
			wanted: func(s *kubeapi.Snapshot) bool {
				return slices.Equal(addresses(s, "cart"), []string{"10.0.0.1", "10.0.0.2"})
			},
		},
		{
			name:   "scaling to zero",
			change: func(t *testing.T, s *kubeapitest.Server) { setSlice(t, s, "cart") },
			wanted: func(s *kubeapi.Snapshot) bool {
				return len(addresses(s, "cart")) == 0 && len(s.Slices[kubeapi.Key{Namespace: "shop", Name: "cart"}]) == 1
			},
		},
		{
			name:   "a slice that goes",
			change: func(_ *testing.T, s *kubeapitest.Server) { s.Delete("EndpointSlice", "shop", "cart-1") },
			wanted: func(s *kubeapi.Snapshot) bool { return len(s.Slices) == 0 },
		},
	} {
		for mode, config := range map[string]func(*kubeapitest.Server) kubeapi.Config{"watched": watching, "polled": polling} {
			t.Run(tt.name+" is "+mode, func(t *testing.T) {
				t.Parallel()
				s := serve(t, "cart")
				f := follow(t, config(s))
				f.untilServices("cart")
				tt.change(t, s)
				f.until("the change", tt.wanted)
			})
		}
	}
}

func TestFollowOnlyOthersNamespaces(t *testing.T) {
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
	if len(snapshot.Slices) != 1 {
		t.Errorf("slices were selected by labels of Services: %s", describe(snapshot))
	}
	apply("no")
	f.untilServices()
	apply("yes")
	f.untilServices("cart")
}

func TestFollowKeepsPointersOfWhatIsUnchanged(t *testing.T) {
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
			if before.Services[0] != after.Services[0] || before.Slices[cart][0] != after.Slices[cart][0] {
				t.Error("what did not change has another pointer")
			}
			if got := addresses(before, "pay"); !slices.Equal(got, []string{"10.0.0.1"}) || len(before.Services) != 2 {
				t.Errorf("the older Snapshot changed: %s, pay %v", describe(before), got)
			}
		})
	}
}

func TestFollowReplacesASnapshotThatNobodyTook(t *testing.T) {
	s := serve(t, "cart")
	f := follow(t, watching(s))
	eventually(t, "two watches", func() bool { return s.Watching() == 2 })
	setService(t, s, "pay")
	eventually(t, "the newer Snapshot is in the channel", func() bool {
		select {
		case got := <-f.out:
			return len(got.Services) == 2
		default:
			return false
		}
	})
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

func TestFollowNeverSendsAPartOfTheCluster(t *testing.T) {
	for _, tt := range []struct {
		name string
		what kubeapitest.Misbehaviour
		want string
	}{
		{
			name: "one namespace is forbidden",
			what: kubeapitest.Forbid("list", "services", "bank"),
			want: `level=ERROR msg="API server refuses a list" server=URL err="list services in namespace \"bank\": 403 Forbidden: services is forbidden: User \"edge\" cannot list resource \"services\" in API group \"\" in the namespace \"bank\" (does its role allow list on services?)"`,
		},
		{
			name: "endpointslices are forbidden in one namespace",
			what: kubeapitest.Forbid("list", "endpointslices", "bank"),
			want: `level=ERROR msg="API server refuses a list" server=URL err="list endpointslices in namespace \"bank\": 403 Forbidden: endpointslices is forbidden: User \"edge\" cannot list resource \"endpointslices\" in API group \"discovery.k8s.io\" in the namespace \"bank\" (does its role allow list on endpointslices?)"`,
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
			if diff := cmp.Diff(want, f.logs.lines("refuses")); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			s.Behave()
			f.untilServices("cart")
			if got := f.logs.lines("API server allows the list"); len(got) != 1 {
				t.Errorf("told %d times that it is over, want once: %q", len(got), got)
			}
		})
	}
}
