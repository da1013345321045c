// SPDX-License-Identifier: Apache-2.0

package history

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/admin"
	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

// cluster makes Services. It makes one object for a name and version, because equal
// pointers mean that nothing changed.
type cluster struct {
	config  *config.Config
	objects map[string]*kubeapi.Service
}

// compile compiles a cluster with these Services, each with a host named for its
// version.
func (c *cluster) compile(versions map[string]int, before *compile.Result) *compile.Result {
	var services []*kubeapi.Service
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		version := versions[name]
		id := fmt.Sprint(name, version)
		if c.objects[id] == nil {
			c.objects[id] = &kubeapi.Service{
				Key: kubeapi.Key{Namespace: "default", Name: name}, ResourceVersion: fmt.Sprint(version),
				Annotations: map[string]string{compile.Prefix + "host": fmt.Sprintf("v%d.test", version)},
				Ports:       []kubeapi.ServicePort{{Name: "web", Port: 80}},
			}
		}
		services = append(services, c.objects[id])
	}
	return compile.Compile(c.config, nil, &kubeapi.Snapshot{Services: services}, before)
}

// lines returns the changes as text.
func lines(h *History) (all []string) {
	for _, c := range h.Changes() {
		line := fmt.Sprintf("%s %s", c.How, c.What)
		if c.Service != "" {
			line = fmt.Sprintf("%s %s: %s", c.How, c.Service, c.What)
		}
		if c.Waited > 0 {
			line += fmt.Sprintf(" after %s", time.Duration(c.Waited))
		}
		all = append(all, line)
	}
	return all
}

func running(pid int) reconcile.Status {
	return reconcile.Status{Process: runtime.Process{Pid: pid}}
}

func TestPassesAreRecorded(t *testing.T) {
	one := map[string]int{"cart": 1}
	two := map[string]int{"cart": 2}
	backend := "default_cart_80"
	for _, row := range []struct {
		name string
		do   func(h *History, c *cluster)
		want []string
	}{
		{"the first pass adds no Service, because HAProxy may serve all of them already", func(h *History, c *cluster) {
			h.AddPass(Pass{Compiled: c.compile(one, nil), Since: time.Now(), Status: running(1)})
		}, nil},
		{"a change at runtime is recorded with the time since its Snapshot", func(h *History, c *cluster) {
			r := c.compile(one, nil)
			h.AddPass(Pass{Compiled: r, Status: running(1)})
			since := time.Now()
			time.Sleep(30 * time.Millisecond)
			h.AddPass(Pass{Compiled: c.compile(two, r), Since: since, Status: running(1), Did: reconcile.Result{Maps: 1, Added: 2, Servers: map[string]reconcile.Delta{backend: {In: 2, Out: 1}}}})
		}, []string{"runtime default/cart: Service changed, 2 servers in, 1 server out after 30ms"}},
		{"a change that waits for a reload is recorded with the reload", func(h *History, c *cluster) {
			r := c.compile(one, nil)
			h.AddPass(Pass{Compiled: r, Status: running(1)})
			s := running(1)
			s.ReloadReasons = haproxy.Reasons{{Kind: haproxy.BackendNew}}
			r = c.compile(two, r)
			h.AddPass(Pass{Compiled: r, Since: time.Now(), Status: s})
			time.Sleep(time.Second)
			h.AddPass(Pass{Compiled: r, Status: running(2), Did: reconcile.Result{Reload: s.ReloadReasons}})
		}, []string{"reload HAProxy reloaded after 1s", "reload default/cart: Service changed after 1s"}},
		{"another process without a reload by podgate is recorded", func(h *History, c *cluster) {
			r := c.compile(one, nil)
			h.AddPass(Pass{Compiled: r, Status: running(1)})
			h.AddPass(Pass{Compiled: r, Status: running(0)}) // it does not answer
			h.AddPass(Pass{Compiled: r, Status: running(2)})
		}, []string{"- HAProxy was started or reloaded, but not by podgate"}},
		{"the trouble with HAProxy is recorded when it begins and ends", func(h *History, c *cluster) {
			r := c.compile(one, nil)
			s := running(1)
			s.Trouble = "no space left on device"
			for range 3 {
				h.AddPass(Pass{Compiled: r, Status: s, Did: reconcile.Result{Err: errors.New(s.Trouble)}})
			}
			h.AddPass(Pass{Compiled: r, Status: running(1)})
			h.AddPass(Pass{Compiled: r, Status: running(1)})
		}, []string{"- HAProxy is out of sync", "- HAProxy is in sync again"}},
		{"a condition of the API server is recorded when it begins and ends", func(h *History, c *cluster) {
			unreachable := kubeapi.Condition{Kind: kubeapi.Unreachable, Text: "connection refused", Since: time.Now()}
			h.SetConditions([]kubeapi.Condition{unreachable})
			h.SetConditions([]kubeapi.Condition{unreachable})
			h.SetConditions(nil)
		}, []string{"- API server: unreachable", "- API server: no longer unreachable"}},
		{"of many Services some are named and the others counted", func(h *History, c *cluster) {
			before, after := map[string]int{}, map[string]int{}
			for i := range 30 {
				before[fmt.Sprintf("s%02d", i)], after[fmt.Sprintf("s%02d", i)] = 1, 2
			}
			r := c.compile(before, nil)
			h.AddPass(Pass{Compiled: r, Status: running(1)})
			h.AddPass(Pass{Compiled: c.compile(after, r), Status: running(1), Did: reconcile.Result{Maps: 1}})
			h.changes = h.changes[19:]
		}, []string{"runtime default/s19: Service changed", "- 10 more Services changed at the same time"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := New(nil)
				row.do(h, &cluster{config.Default(), map[string]*kubeapi.Service{}})
				if diff := cmp.Diff(row.want, lines(h)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTheOldestChangesAreDropped(t *testing.T) {
	h := New([]*admin.Change{{What: "earlier"}})
	published := h.Changes()
	for i := range admin.MostChanges {
		h.Add(&admin.Change{What: fmt.Sprint(i)})
	}
	if n := len(h.Changes()); n != admin.MostChanges || h.Changes()[0].What != "0" {
		t.Errorf("%d changes, the first %+v", n, h.Changes()[0])
	}
	if len(published) != 1 || published[0].What != "earlier" {
		t.Errorf("changes that were published have changed: %v", published)
	}
}
