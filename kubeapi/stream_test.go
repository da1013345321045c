// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

func TestStreamedListsReplacePlainLists(t *testing.T) {
	s := serveStreams(t, "cart", "pay")
	cfg := watching(s)
	cfg.ResyncInterval = 100 * time.Millisecond
	f := follow(t, cfg)
	first := f.untilServices("cart", "pay")
	if got := addresses(first, "cart"); len(got) != 1 {
		t.Errorf("addresses %v of the first Snapshot, want one", got)
	}
	f.until("a third complete list", func(s *kubeapi.Snapshot) bool { return s.Complete >= 3 })
	s.Delete("Service", "shop", "pay")
	f.untilServices("cart")
	if got := s.Lists(); got != 0 {
		t.Errorf("%d plain lists, want none", got)
	}
	if lines := f.logs.lines("level=WARN"); len(lines) > 0 {
		t.Errorf("log %q, want nothing", lines)
	}
}

// TestListsAreCompressedAndStreamsAreNot: compression makes a list of 5,000
// EndpointSlices of 20 endpoints 2 MB instead of 18. It makes a stream of them 4.5 MB,
// and doubles the CPU time of the server.
func TestListsAreCompressedAndStreamsAreNot(t *testing.T) {
	s := serveStreams(t, "cart")
	var list, watch sync.Map
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := &list
		if r.URL.Query().Has("watch") {
			to = &watch
		}
		to.Store(r.Header.Get("Accept-Encoding"), true)
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	cfg := watching(s)
	cfg.Server = front.URL
	f := follow(t, cfg)
	f.untilServices("cart")
	s.RejectStreamedLists()
	s.ExpireVersions()
	eventually(t, "a plain list", func() bool { return s.Lists() > 0 })
	for name, seen := range map[string]*sync.Map{"gzip": &list, "identity": &watch} {
		seen.Range(func(encoding, _ any) bool {
			if encoding != name {
				t.Errorf("Accept-Encoding %q, want %s", encoding, name)
			}
			return true
		})
		if _, ok := seen.Load(name); !ok {
			t.Errorf("no request with Accept-Encoding %s", name)
		}
	}
}

func TestFailedStreamedListFallsBackToPlainLists(t *testing.T) {
	for _, tt := range []struct {
		name string
		how  func(*kubeapitest.Server)
	}{
		{"a server rejects it with 422", (*kubeapitest.Server).RejectStreamedLists},
		{"a server before 1.27 ignores it", (*kubeapitest.Server).IgnoreStreamedLists},
		{"the connection ends before the list", func(s *kubeapitest.Server) { s.Misbehave(kubeapitest.CutStreamedLists(2)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serveStreams(t, "cart", "pay")
			tt.how(s)
			f := follow(t, watching(s), func(c *kubeapi.Client) { c.SetTimeouts(10*time.Second, 50*time.Millisecond) })
			// The first Snapshot is complete, from plain lists.
			if got := f.until("", func(*kubeapi.Snapshot) bool { return true }); len(got.Services) != 2 || got.Slices.Len() != 2 {
				t.Errorf("the first Snapshot is incomplete: %s", describe(got))
			}
			// A stalled watch counts until the server notices its end.
			eventually(t, "two watches", func() bool { return s.Watching() == 2 && s.Watches() >= 4 })
			if lists, watches := s.Lists(), s.Watches(); lists != 2 || watches != 4 {
				t.Errorf("%d lists and %d watches, want 2 and 4: one request for each streamed list", lists, watches)
			}
			setService(t, s, "zoo")
			f.untilServices("cart", "pay", "zoo")
			if lines := f.logs.lines("level=WARN"); len(lines) > 0 {
				t.Errorf("log %q, want nothing", lines)
			}
		})
	}
}

func TestStalledWatchIsReplaced(t *testing.T) {
	s := serve(t, "cart")
	f := follow(t, watching(s), func(c *kubeapi.Client) { c.SetEventTimeout(50 * time.Millisecond) })
	f.untilServices("cart")
	eventually(t, "two watches", func() bool { return s.Watching() == 2 })
	setService(t, s, "pay")
	setSlice(t, s, "pay")
	f.until("both changes", func(s *kubeapi.Snapshot) bool { return len(s.Services) == 2 && s.Slices.Len() == 2 })
	s.Misbehave(kubeapitest.MuteWatches())
	watches := s.Watches()
	eventually(t, "two more watches", func() bool { return s.Watches() >= watches+2 })
	s.Behave()
	setService(t, s, "zoo")
	f.untilServices("cart", "pay", "zoo")
}

func TestPingsFindADeadConnection(t *testing.T) {
	s := serveTLS(t)
	proxy := kubeapitest.RunProxy(t, s.URL())
	cfg := watching(s)
	cfg.Server = "https://" + proxy.Addr()
	cfg.CAFile = filepath.Join(t.TempDir(), "ca.crt")
	write(t, cfg.CAFile, string(s.CertificatePEM()))
	f := follow(t, cfg, func(c *kubeapi.Client) { c.SetPings(50*time.Millisecond, 50*time.Millisecond) })
	f.untilServices("cart")
	eventually(t, "two watches", func() bool { return s.Watching() == 2 })
	proxy.Freeze()
	eventually(t, "the connection is given up", func() bool { return len(f.logs.lines("watching again")) > 0 })
	proxy.Thaw()
	setService(t, s, "pay")
	f.untilServices("cart", "pay")
}
