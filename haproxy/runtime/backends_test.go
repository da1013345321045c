// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"podgate/haproxy"
)

// newDynamicBox runs HAProxy with the shop and a route from /more to a backend "more",
// which does not exist yet. It skips the test if HAProxy adds no backends at run time.
func newDynamicBox(t *testing.T, change func(*haproxy.Backend), servers ...haproxy.Server) (box, haproxy.State) {
	t.Helper()
	b := newBox(t)
	if !b.addsBackends(t) {
		t.Skip("this HAProxy adds no backends at run time")
	}
	s := b.shop(t, change, servers...)
	s.RuntimeBackends = true
	s.Routes = append(s.Routes, haproxy.Route{Path: "/more", Backend: "more"})
	b.load(t, s)
	return b, s
}

// like returns a copy of a backend with another name and other servers.
func like(b *haproxy.Backend, name string, servers ...haproxy.Server) *haproxy.Backend {
	another := *b
	another.Name, another.Servers = name, servers
	return &another
}

func TestApplyAddsAndDeletesABackend(t *testing.T) {
	for name, change := range map[string]func(*haproxy.Backend){
		"plain": nil,
		"with a cookie": func(b *haproxy.Backend) {
			b.Policy.Cookie, b.Policy.CookieKey = "SERVERID", "secret"
		},
		"with checks": func(b *haproxy.Backend) {
			b.Policy.CheckPath, b.Options.Check, b.Options.CheckInterval = "/", true, settings().TimeoutConnect
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod, _ := newPod(t)
			b, s := newDynamicBox(t, change, pod)
			frontend := s.Frontends[0].Binds[0]
			more := like(s.Backends.At(0), "more", pod)
			a := b.apply(t, haproxy.Plan{
				NewBackends: []*haproxy.Backend{more},
				Add:         changes(haproxy.AddServer, more, pod),
			})
			if a.Commands == 0 {
				t.Error("no command was sent")
			}
			if r := mustGet(t, frontend, "/more"); r.Status != 503 {
				t.Errorf("before the backend is published: %d, want 503", r.Status)
			}
			b.apply(t, haproxy.Plan{Publish: []string{"more"}})
			r := mustGet(t, frontend, "/more")
			if r.Status != 200 || r.Body != pod.Addr.String() {
				t.Errorf("got %d %q, want 200 %q", r.Status, r.Body, pod.Addr)
			}
			if (len(r.Cookies) > 0) != (more.Policy.Cookie != "") {
				t.Errorf("cookies %v", r.Cookies)
			}
			if published, err := b.Published(t.Context(), []string{"more", "shop", "none"}); diff(map[string]bool{"more": true, "shop": true}, published) != "" {
				t.Errorf("Published: %v, %v", published, err)
			}

			b.apply(t, haproxy.Plan{Leave: changes(haproxy.SetServer, more, withState(haproxy.Maint, pod)...)})
			eventually(t, "its server is deleted", func() bool {
				return len(b.apply(t, haproxy.Plan{Leave: changes(haproxy.DeleteServer, more, pod)}).Pending) == 0
			})
			eventually(t, "the backend is deleted", func() bool {
				return len(b.apply(t, haproxy.Plan{OldBackends: []*haproxy.Backend{more}}).PendingBackends) == 0
			})
			if published, err := b.Published(t.Context(), nil); err != nil || !published["shop"] {
				t.Errorf("Published: %v, %v", published, err)
			} else if _, exists := published["more"]; exists {
				t.Error("the deleted backend exists")
			}
		})
	}
}

func TestApplyABackendThatHAProxyRejects(t *testing.T) {
	pod, _ := newPod(t)
	b, s := newDynamicBox(t, nil, pod)
	shop := s.Backends.At(0)
	other := like(shop, "more", pod)
	other.Policy.Balance = haproxy.LeastConn
	unlike := like(shop, "more", pod)
	unlike.Options.Check, unlike.Options.CheckInterval = true, 10_000*time.Hour
	for _, row := range []struct {
		name  string
		new   *haproxy.Backend
		reply string
	}{
		{"its class is not loaded", other, "Cannot find default proxy"},
		{"its name is in use", like(shop, "shop", pod), "name is already used by other proxy"},
		{"its name contains a blank", like(shop, "a b", pod), "contains ' ', which a command must not contain"},
		{"HAProxy rejects its server", unlike, "add more/" + pod.Addr.String() + " ready: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, err := b.Apply(t.Context(), haproxy.Plan{
				NewBackends: []*haproxy.Backend{row.new},
				Add:         changes(haproxy.AddServer, row.new, pod),
				Publish:     []string{row.new.Name},
				Maps:        []haproxy.Map{{Name: haproxy.RoutesMap}},
				Leave:       changes(haproxy.SetServer, shop, withState(haproxy.Maint, ready("127.0.0.1:8001"))...),
			})
			must(t, err)
			last := a.Rejected[len(a.Rejected)-1]
			if last.Backend != row.new.Name || !strings.Contains(last.Reply, row.reply) {
				t.Errorf("rejected %v, want backend %s with %q", a.Rejected, row.new.Name, row.reply)
			}
			if r := mustGet(t, s.Frontends[0].Binds[0], "/"); r.Status != 200 {
				t.Errorf("the map was replaced: %d", r.Status)
			}
		})
	}
}

func TestApplyAddsABackendThroughTheMasterCLI(t *testing.T) {
	pod, _ := newPod(t)
	b, s := newDynamicBox(t, nil, pod)
	must(t, os.Remove(b.Admin))
	if !b.addsBackends(t) {
		t.Error("AddsBackends: got false, want true")
	}
	more := like(s.Backends.At(0), "more", pod)
	b.apply(t, haproxy.Plan{NewBackends: []*haproxy.Backend{more}, Add: changes(haproxy.AddServer, more, pod), Publish: []string{"more"}})
	if published, err := b.Published(t.Context(), nil); diff(map[string]bool{"more": true, "shop": true}, published) != "" {
		t.Errorf("Published: %v, %v", published, err)
	}
	if r := mustGet(t, s.Frontends[0].Binds[0], "/more"); r.Status != 200 {
		t.Errorf("got %d, want 200", r.Status)
	}
}

func TestAddsBackendsAgreesWithHAProxy(t *testing.T) {
	b := newBox(t)
	reply := b.command(t, "add backend podgate from podgate-none")
	if adds := b.addsBackends(t); adds != strings.Contains(reply, "Cannot find default proxy") {
		t.Errorf("AddsBackends: %v, HAProxy replies %q", adds, reply)
	}
}
