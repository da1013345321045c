// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// light is what a HAProxy serves that takes whole backends, after it loaded s.
func light(s haproxy.State, change func(*haproxy.Running), observed ...string) haproxy.Running {
	s.RuntimeBackends = true
	have := running(s, observed...)
	have.Loaded, have.AddsBackends = s.Structure(), true
	if change != nil {
		change(&have)
	}
	return have
}

func TestDiffWhereHAProxyTakesBackends(t *testing.T) {
	sticky := state("a 1", "b 2")
	sticky.Backends.At(1).Policy.ClientAffinity = time.Hour
	leastconn := state("a 1", "b 2")
	leastconn.Backends.At(1).Policy.Balance = haproxy.LeastConn
	moved := state("b 2")
	moved.Routes = []haproxy.Route{{Path: "/a", Backend: "b"}}
	slow := state("a 1", "b 2")
	slow.Backends.At(1).TimeoutServer = time.Minute

	for _, row := range []struct {
		name string
		have haproxy.Running
		want haproxy.State
		plan []string
	}{
		{"a backend of a known class comes with its servers before its route", light(state("a 1"), nil), state("a 1", "b 2 3!"), []string{
			"new backend b", "add b/10.0.0.2:80 ready", "add b/10.0.0.3:80 drain", "publish b", "map routes */a/=a|2 */b/=b|2"}},
		{"its timeout comes too", light(state("a 1"), nil), slow, []string{
			"new backend b", "add b/10.0.0.2:80 ready", "publish b", "map routes */a/=a|2 */b/=b|2", "map timeouts b=60000"}},
		{"a backend that others are not like needs a reload", light(state("a 1"), nil), leastconn, []string{"reload: backend b is new; no loaded defaults section matches it"}},
		{"a class outlives its last backend", light(leastconn, func(r *haproxy.Running) {
			r.Loaded = r.Loaded.WithBackends(nil, map[string]bool{"b": true})
			r.Maps = state("a 1").Maps()
			delete(r.Servers, "b")
		}), leastconn, []string{"new backend b", "add b/10.0.0.2:80 ready", "publish b", "map routes */a/=a|2 */b/=b|2"}},
		{"a stick table needs a reload", light(state("a 1"), nil), sticky, []string{"reload: backend b is new, with a stick table"}},
		{"a TCP backend needs a reload", light(state("a 1"), nil), state("a 1", "d tcp 3"), []string{"reload: backend d is new", "reload: frontend podgate_tcp is new"}},
		{"another policy needs a reload", light(state("a 1", "b 2"), nil), leastconn, []string{"reload: backend b changed its policy"}},
		{"what HAProxy rejected needs a reload", light(state("a 1"), func(r *haproxy.Running) {
			r.Rejected = map[string]string{"b": "no."}
		}), state("a 1", "b 2"), []string{"reload: backend b is new; HAProxy rejected it at run time: no."}},
		{"a configuration that began with all backends needs a reload", light(state("a 1"), func(r *haproxy.Running) {
			r.Loaded.RuntimeBackends = false
		}), state("a 1", "b 2"), []string{"reload: backend b is new"}},
		{"a HAProxy that takes none needs a reload", light(state("a 1"), func(r *haproxy.Running) {
			r.AddsBackends = false
		}), state("a 1", "b 2"), []string{"reload: backend b is new"}},
		{"a route goes to a new backend before the old one's servers leave", light(state("a 1"), nil), moved, []string{
			"new backend b", "add b/10.0.0.2:80 ready", "publish b", "map routes */a/=b|2", "set a/10.0.0.1:80 maint", "delete a/10.0.0.1:80 maint"}},
		{"a backend that is not wanted loses its servers first", light(state("a 1", "b 2"), nil), state("a 1"), []string{
			"map routes */a/=a|2", "set b/10.0.0.2:80 maint", "delete b/10.0.0.2:80 maint"}},
		{"and goes when it has none", light(state("a 1", "b"), nil), state("a 1"), []string{"map routes */a/=a|2", "old backend b"}},
		{"not while a server of somebody else is in it", light(state("a 1", "b"), func(r *haproxy.Running) {
			r.Unmanaged = map[string][]string{"b": {"web1"}}
		}), state("a 1"), []string{"map routes */a/=a|2", "remove unmanaged server b/web1"}},
		{"not where HAProxy keeps it", light(state("a 1", "b"), func(r *haproxy.Running) {
			r.Rejected = map[string]string{"b": "no."}
		}), state("a 1"), []string{"map routes */a/=a|2"}},
		{"not while a route leads to it until a reload", light(state("a"), nil), func() haproxy.State {
			s := leastconn
			s.Backends = haproxy.ListOf(s.Backends.Slice()[1:]...)
			s.Routes = []haproxy.Route{{Path: "/a", Backend: "b"}}
			return s
		}(), []string{"reload: backend b is new; no loaded defaults section matches it"}},
		{"a backend with a stick table stays, empty", light(sticky, nil, "b"), state("a 1"), []string{"map routes */a/=a|2"}},
		{"a backend that was being given up is taken back", light(state("a 1", "b"), func(r *haproxy.Running) {
			r.Unpublished = map[string]bool{"b": true}
		}), state("a 1", "b 2"), []string{"add b/10.0.0.2:80 ready", "publish b"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.want.RuntimeBackends = row.have.AddsBackends
			if diff := cmp.Diff(row.plan, tell(haproxy.Diff(row.have, row.want))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}
