// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"testing"
	"time"

	"podgate/haproxy"
)

// dynamic is running for a HAProxy that adds backends at run time.
func dynamic(s haproxy.State, change func(*haproxy.Running), observed ...string) haproxy.Running {
	s.RuntimeBackends = true
	have := running(s, observed...)
	have.Loaded, have.AddsBackends = s.Structure(), true
	if change != nil {
		change(&have)
	}
	return have
}

func TestDiffForHAProxyThatAddsBackends(t *testing.T) {
	sticky := state("a 1", "b 2")
	sticky.Backends.At(1).Policy.ClientAffinity = time.Hour
	leastconn := state("a 1", "b 2")
	leastconn.Backends.At(1).Policy.Balance = haproxy.LeastConn
	moved := state("b 2")
	moved.Routes = []haproxy.Route{{Path: "/a", Backend: "b"}}
	slow := state("a 1", "b 2")
	slow.Backends.At(1).TimeoutServer = time.Minute

	for _, row := range []planRow{
		{"a backend of a loaded class is added with its servers before its route", dynamic(state("a 1"), nil), state("a 1", "b 2 3!"), []string{
			"new backend b", "add b/10.0.0.2:80 ready", "add b/10.0.0.3:80 drain", "publish b", "map routes */a/=a|2 */b/=b|2"}},
		{"its timeout is added too", dynamic(state("a 1"), nil), slow, []string{
			"new backend b", "add b/10.0.0.2:80 ready", "publish b", "map routes */a/=a|2 */b/=b|2", "map timeouts b=60000"}},
		{"a backend of another class needs a reload", dynamic(state("a 1"), nil), leastconn, []string{"reload: backend b is new; no loaded defaults section matches it"}},
		{"a class outlives its last backend", dynamic(leastconn, func(r *haproxy.Running) {
			r.Loaded = r.Loaded.WithBackends(nil, map[string]bool{"b": true})
			r.Maps = state("a 1").Maps()
			delete(r.Servers, "b")
		}), leastconn, []string{"new backend b", "add b/10.0.0.2:80 ready", "publish b", "map routes */a/=a|2 */b/=b|2"}},
		{"a stick table needs a reload", dynamic(state("a 1"), nil), sticky, []string{"reload: backend b is new, with a stick table"}},
		{"a TCP backend needs a reload", dynamic(state("a 1"), nil), state("a 1", "d tcp 3"), []string{"reload: backend d is new", "reload: frontend podgate_tcp is new"}},
		{"another policy needs a reload", dynamic(state("a 1", "b 2"), nil), leastconn, []string{"reload: backend b changed its policy"}},
		{"what HAProxy rejected needs a reload", dynamic(state("a 1"), func(r *haproxy.Running) {
			r.Rejected = map[string]string{"b": "no."}
		}), state("a 1", "b 2"), []string{"reload: backend b is new; HAProxy rejected it at run time: no."}},
		{"a configuration that was loaded with all backends needs a reload", dynamic(state("a 1"), func(r *haproxy.Running) {
			r.Loaded.RuntimeBackends = false
		}), state("a 1", "b 2"), []string{"reload: backend b is new"}},
		{"a HAProxy that adds no backends needs a reload", dynamic(state("a 1"), func(r *haproxy.Running) {
			r.AddsBackends = false
		}), state("a 1", "b 2"), []string{"reload: backend b is new"}},
		{"a route leads to a new backend before the old one's servers are removed", dynamic(state("a 1"), nil), moved, []string{
			"new backend b", "add b/10.0.0.2:80 ready", "publish b", "map routes */a/=b|2", "set a/10.0.0.1:80 maint", "delete a/10.0.0.1:80 maint"}},
		{"an unwanted backend loses its servers first", dynamic(state("a 1", "b 2"), nil), state("a 1"), []string{
			"map routes */a/=a|2", "set b/10.0.0.2:80 maint", "delete b/10.0.0.2:80 maint"}},
		{"an unwanted backend without servers is deleted", dynamic(state("a 1", "b"), nil), state("a 1"), []string{"map routes */a/=a|2", "old backend b"}},
		{"an unwanted backend is not deleted while it has unmanaged servers", dynamic(state("a 1", "b"), func(r *haproxy.Running) {
			r.Unmanaged = map[string][]string{"b": {"web1"}}
		}), state("a 1"), []string{"map routes */a/=a|2", "remove unmanaged server b/web1"}},
		{"an unwanted backend is not deleted if HAProxy rejected that", dynamic(state("a 1", "b"), func(r *haproxy.Running) {
			r.Rejected = map[string]string{"b": "no."}
		}), state("a 1"), []string{"map routes */a/=a|2"}},
		{"an unwanted backend is not deleted while a route leads to it until a reload", dynamic(state("a"), nil), func() haproxy.State {
			s := leastconn
			s.Backends = haproxy.ListOf(s.Backends.Slice()[1:]...)
			s.Routes = []haproxy.Route{{Path: "/a", Backend: "b"}}
			return s
		}(), []string{"reload: backend b is new; no loaded defaults section matches it"}},
		{"an unwanted backend with a stick table stays, empty", dynamic(sticky, nil, "b"), state("a 1"), []string{"map routes */a/=a|2"}},
		{"an unpublished backend that is wanted again is published", dynamic(state("a 1", "b"), func(r *haproxy.Running) {
			r.Unpublished = map[string]bool{"b": true}
		}), state("a 1", "b 2"), []string{"add b/10.0.0.2:80 ready", "publish b"}},
	} {
		row.want.RuntimeBackends = row.have.AddsBackends
		t.Run(row.name, row.run)
	}
}
