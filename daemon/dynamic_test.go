// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/edgetest"
	"podgate/haproxy"
)

// serviceWithReload creates a Service that every HAProxy needs a reload for, because its
// settings are unlike those of all other Services. It returns the reason of the reload.
func (e *edge) serviceWithReload(t *testing.T, name string, pods ...*edgetest.Pod) string {
	t.Helper()
	e.classes++
	e.service(t, name, map[string]string{"timeout-connect": fmt.Sprintf("%dms", 4000+e.classes)}, pods...)
	return "backend shop_" + name + "_80 is new; no loaded defaults section matches it"
}

// addsBackends reports whether HAProxy can add backends at run time.
func (e *edge) addsBackends(t *testing.T) bool {
	t.Helper()
	adds, err := e.Runtime.AddsBackends(t.Context())
	must(t, err)
	return adds
}

// needAddBackend skips a test of HAProxy 3.4 and newer.
func needAddBackend(t *testing.T, e *edge) {
	t.Helper()
	if !e.addsBackends(t) {
		t.Skip("this HAProxy cannot add backends at run time")
	}
}

// backends returns HAProxy's backends, by their own names if they are in spares, without
// spares that are not taken.
func (e *edge) backends(t *testing.T) []string {
	t.Helper()
	published, err := e.Runtime.Published(t.Context(), nil)
	must(t, err)
	names, err := e.Runtime.SpareNames(t.Context())
	must(t, err)
	all := slices.DeleteFunc(slices.Collect(maps.Keys(published)), func(name string) bool { return strings.HasPrefix(name, haproxy.SparePrefix) })
	return slices.Sorted(slices.Values(slices.AppendSeq(all, maps.Values(names))))
}

// awaitNoBackend waits until HAProxy has deleted the backend, or the backend has left its
// spare. HAProxy before 3.4 deletes no backend that has no spare.
func (e *edge) awaitNoBackend(t *testing.T, name string) {
	t.Helper()
	published, err := e.Runtime.Published(t.Context(), nil)
	must(t, err)
	if _, own := published[name]; own && !e.addsBackends(t) {
		return
	}
	eventually(t, "backend "+name+" is deleted", func() error {
		if slices.Contains(e.backends(t), name) {
			return fmt.Errorf("it exists: %s", e.command(t, "show servers conn "+name))
		}
		return nil
	})
}

func TestServicesAreAddedAndRemovedWithoutAReload(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.set(t, "haproxy.spare_backends", 40) // some wait for the next write of podgate.cfg
	l := e.startLoaded(t)
	before := e.HAProxy.Pid()
	backends := e.backends(t)
	for n := range 30 {
		name := fmt.Sprintf("new-%d", n)
		e.service(t, name, map[string]string{"timeout-server": "20s"}, newPod(t, name))
		e.awaitAnswer(t, "any", "/"+name+"/", "200 "+name+" /")
		if n >= 3 { // three Services exist at a time
			old := fmt.Sprintf("new-%d", n-3)
			e.Cluster.Delete("Service", "shop", old)
			e.awaitAnswer(t, "any", "/"+old+"/", notFound)
		}
	}
	for n := range 27 {
		e.awaitNoBackend(t, fmt.Sprintf("shop_new-%d_80", n))
	}
	l.check(t)
	e.checkPid(t, before)
	backends = append(backends, "shop_new-27_80", "shop_new-28_80", "shop_new-29_80")
	slices.Sort(backends)
	if diff := cmp.Diff(backends, e.backends(t)); diff != "" {
		t.Errorf("backends (-before +after):\n%s", diff)
	}
	e.awaitLogCount(t, "level=WARN", 0)
	e.awaitLogCount(t, "level=ERROR", 0)
}

// TestABackendIsDeletedAndCreatedAgain repeats that while requests are running, with and
// without a change that needs a reload.
func TestABackendIsDeletedAndCreatedAgain(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	before := e.HAProxy.Pid()
	p := newPod(t, "again")
	for range 20 {
		e.service(t, "again", nil, p)
		e.awaitAnswer(t, "any", "/again/", "200 again /")
		slow := make(chan error, 1)
		go func() {
			got, err := e.Get(t.Context(), "any", "/again/slow?sleep=50ms")
			if err == nil && !strings.HasPrefix(got, "200 again ") {
				err = fmt.Errorf("answered %q", got)
			}
			slow <- err
		}()
		awaitThat(t, "the slow request is running, or has ended", func() bool { return p.Active()+len(slow) > 0 })
		e.Cluster.Delete("Service", "shop", "again")
		e.awaitAnswer(t, "any", "/again/", notFound)
		if err := <-slow; err != nil {
			t.Errorf("the slow request: %v", err)
		}
	}
	l.check(t)
	e.checkPid(t, before)
	e.awaitNoBackend(t, "shop_again_80")

	e.service(t, "again", map[string]string{"algorithm": "leastconn"}, p)
	e.awaitAnswer(t, "any", "/again/", "200 again /")
	e.awaitReloads(t, "backend shop_again_80 is new; no loaded defaults section matches it")
	e.service(t, "more", map[string]string{"algorithm": "leastconn"}, p)
	e.awaitAnswer(t, "any", "/more/", "200 again /")
	e.Cluster.Delete("Service", "shop", "again")
	e.Cluster.Delete("Service", "shop", "more")
	e.awaitNoBackend(t, "shop_again_80")
	e.awaitNoBackend(t, "shop_more_80")
	e.service(t, "again", map[string]string{"algorithm": "leastconn"}, p) // its defaults section is still loaded
	e.awaitAnswer(t, "any", "/again/", "200 again /")
	e.awaitReloads(t, "backend shop_again_80 is new; no loaded defaults section matches it")
}

func TestAddedBackendsOutliveHAProxyAndPodgate(t *testing.T) {
	t.Parallel()
	e, _ := newLoadedEdge(t)
	p := newPod(t, "new-0")
	e.service(t, "new", nil, p)
	e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
	e.stop(t) // which writes the file
	must(t, e.HAProxy.Restart(t.Context()))
	e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
	pid := e.HAProxy.Pid()
	e.start(t)
	e.service(t, "newer", nil, p)
	e.awaitAnswer(t, "any", "/newer/", "200 new-0 /")
	e.Cluster.Delete("Service", "shop", "new")
	e.awaitNoBackend(t, "shop_new_80")
	e.checkPid(t, pid)
}

// TestAProcessHasNoBackendsThatWereAddedToAnother adds a backend to a process that the
// next process of the same configuration has with other options: a Service is removed,
// created with other options, and then changed back.
func TestAProcessHasNoBackendsThatWereAddedToAnother(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	needAddBackend(t, e)
	p := newPod(t, "flip-0")
	limited := map[string]string{"maxconn": "50"}
	e.service(t, "flip", limited, p)
	reason := e.serviceWithReload(t, "more", newPod(t, "more-0"))
	e.awaitAnswer(t, "any", "/flip/", "200 flip-0 /")
	e.awaitReloads(t, reason)
	e.Cluster.Delete("Service", "shop", "flip")
	e.awaitNoBackend(t, "shop_flip_80")
	e.service(t, "flip", nil, p)
	e.awaitAnswer(t, "any", "/flip/", "200 flip-0 /")
	e.service(t, "flip", limited, p)
	e.awaitReloads(t, reason, "backend shop_flip_80 changed its server options")
	e.awaitNoDifference(t)
	e.stop(t)
	e.start(t)
	e.awaitNoDifference(t)
	e.awaitReloads(t, reason, "backend shop_flip_80 changed its server options")
	l.check(t)
}

// TestABackendThatHAProxyRejectsIsLoaded has another program add a backend of the same
// name to the running process.
func TestABackendThatHAProxyRejectsIsLoaded(t *testing.T) {
	t.Parallel()
	e, l := newLoadedEdge(t)
	needAddBackend(t, e)
	var class string
	for line := range strings.Lines(e.filesWithout(t, "nothing")) {
		if name, ok := strings.CutPrefix(line, "backend shop_cart_80 from "); ok {
			class = strings.TrimSpace(name)
		}
	}
	if got := e.command(t, "add backend shop_new_80 from "+class); !strings.Contains(got, "New backend registered.") {
		t.Fatal(got)
	}
	e.service(t, "new", nil, newPod(t, "new-0"))
	e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
	e.awaitReloads(t, "backend shop_new_80 is new; HAProxy rejected it at run time: Error during backend creation : name is already used by other proxy 'backend shop_new_80'.")
	l.check(t)
	e.awaitLogCount(t, "out of sync", 0)
}

// TestBackendDriftIsRepairedAndLogged deletes and unpublishes podgate's backends in the
// running HAProxy.
func TestBackendDriftIsRepairedAndLogged(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	needAddBackend(t, e)
	e.resync = 300 * time.Millisecond
	loaded, added := newPod(t, "loaded"), newPod(t, "added")
	e.service(t, "loaded", nil, loaded)
	e.start(t)
	e.awaitAnswer(t, "any", "/loaded/", "200 loaded /")
	e.awaitReloads(t)
	e.service(t, "added", nil, added)
	e.awaitAnswer(t, "any", "/added/", "200 added /")
	for _, row := range []struct{ name, command string }{
		{"a backend is unpublished", "unpublish backend shop_NAME_80"},
		{"a backend is deleted", "unpublish backend shop_NAME_80;set server shop_NAME_80/ADDR state maint;del server shop_NAME_80/ADDR;wait 2s be-removable shop_NAME_80;del backend shop_NAME_80"},
	} {
		for _, p := range []*edgetest.Pod{loaded, added} {
			t.Run(row.name+" that HAProxy has "+p.Name, func(t *testing.T) {
				counted := e.Drift()
				command := strings.NewReplacer("NAME", p.Name, "ADDR", p.Addr.String()).Replace(row.command)
				eventually(t, "HAProxy executes the command", func() error {
					reply := strings.TrimSpace(e.command(t, command))
					if !strings.HasSuffix(reply, "Backend deleted.") && !strings.HasSuffix(reply, "Backend unpublished.") {
						return fmt.Errorf("HAProxy replied %q", reply)
					}
					return nil
				})
				awaitThat(t, "the drift is counted", func() bool { return e.Drift() > counted })
				e.awaitAnswer(t, "any", "/"+p.Name+"/", "200 "+p.Name+" /")
			})
		}
	}
	e.checkOneReload(t)
	if n := strings.Count(e.Log.String(), "drift found"); n < 4 {
		t.Errorf("drift was logged %d times", n)
	}
	e.awaitNoDifference(t)
}
