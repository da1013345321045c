// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// reloading puts a Service into the cluster that needs a reload of every HAProxy:
// no other Service is like it. It returns the reason.
func (tw *town) reloading(name string, pods ...*pod) string {
	tw.t.Helper()
	tw.classes++
	tw.service(name, map[string]string{"timeout-connect": fmt.Sprintf("%dms", 4000+tw.classes)}, pods...)
	reason := "backend shop_" + name + "_80 is new"
	if tw.takesBackends() {
		reason += "; no loaded defaults section matches it"
	}
	return reason
}

// reloadsForNew are the reasons for reloads that a Service costs which is like
// others.
func (tw *town) reloadsForNew(name string) []string {
	tw.t.Helper()
	if tw.takesBackends() {
		return nil
	}
	return []string{"backend shop_" + name + "_80 is new"}
}

// takesBackends reports whether HAProxy takes whole backends while it runs.
func (tw *town) takesBackends() bool {
	tw.t.Helper()
	takes, err := tw.runtime.TakesBackends(tw.t.Context())
	if err != nil {
		tw.t.Fatal(err)
	}
	return takes
}

// needBackends skips a test of what only HAProxy 3.4 and newer can.
func needBackends(tw *town) {
	tw.t.Helper()
	if !tw.takesBackends() {
		tw.t.Skip("this HAProxy takes no backends while it runs")
	}
}

func (tw *town) backends() []string {
	tw.t.Helper()
	names, err := tw.runtime.Backends(tw.t.Context())
	if err != nil {
		tw.t.Fatal(err)
	}
	return names
}

// awaitNoBackend waits until HAProxy has given the backend up, if it does.
func (tw *town) awaitNoBackend(name string) {
	tw.t.Helper()
	if !tw.takesBackends() {
		return
	}
	eventually(tw.t, "backend "+name+" is deleted", func() error {
		if slices.Contains(tw.backends(), name) {
			return fmt.Errorf("it is there: %s", tw.say(tw.t, "show servers conn "+name))
		}
		return nil
	})
}

func TestServicesComeAndGoWithoutAReload(t *testing.T) {
	tw, l := streets(t)
	needBackends(tw)
	before := tw.haproxy.Pid()
	backends := tw.backends()
	for n := range 30 {
		name := fmt.Sprintf("new-%d", n)
		tw.service(name, map[string]string{"timeout-server": "20s"}, newPod(t, name))
		tw.awaitAnswer("any", "/"+name+"/", "200 "+name+" /")
		if n >= 3 { // a few stay a while
			old := fmt.Sprintf("new-%d", n-3)
			tw.api.Delete("Service", "shop", old)
			tw.awaitAnswer("any", "/"+old+"/", notFound)
		}
	}
	for n := range 27 {
		tw.awaitNoBackend(fmt.Sprintf("shop_new-%d_80", n))
	}
	l.check(t)
	if got := tw.haproxy.Pid(); got != before {
		t.Errorf("HAProxy was reloaded: %q", tw.passes.reloads())
	}
	backends = append(backends, "shop_new-27_80", "shop_new-28_80", "shop_new-29_80")
	if diff := cmp.Diff(backends, tw.backends()); diff != "" {
		t.Errorf("backends (-before +after):\n%s", diff)
	}
	if log := tw.log.String(); strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Error("there was trouble")
	}
}

// TestABackendIsDeletedAndCreatedAgain does so while requests are under way, with
// and without a change of what only a reload changes.
func TestABackendIsDeletedAndCreatedAgain(t *testing.T) {
	tw, l := streets(t)
	needBackends(tw)
	before := tw.haproxy.Pid()
	p := newPod(t, "again")
	for range 20 {
		tw.service("again", nil, p)
		tw.awaitAnswer("any", "/again/", "200 again /")
		slow := make(chan error, 1)
		go func() {
			_, body, err := tw.get("any", "/again/slow?sleep=50ms")
			if err == nil && !strings.HasPrefix(body, "again ") {
				err = fmt.Errorf("answered %q", body)
			}
			slow <- err
		}()
		eventually(t, "the slow request is under way", func() error {
			if p.active.Load() == 0 {
				return fmt.Errorf("it is not")
			}
			return nil
		})
		tw.api.Delete("Service", "shop", "again")
		tw.awaitAnswer("any", "/again/", notFound)
		if err := <-slow; err != nil {
			t.Errorf("the slow request: %v", err)
		}
	}
	l.check(t)
	if got := tw.haproxy.Pid(); got != before {
		t.Errorf("HAProxy was reloaded: %q", tw.passes.reloads())
	}
	tw.awaitNoBackend("shop_again_80")

	tw.service("again", map[string]string{"algorithm": "leastconn"}, p)
	tw.awaitAnswer("any", "/again/", "200 again /")
	tw.awaitReloads("backend shop_again_80 is new; no loaded defaults section matches it")
	tw.service("more", map[string]string{"algorithm": "leastconn"}, p)
	tw.awaitAnswer("any", "/more/", "200 again /")
	tw.api.Delete("Service", "shop", "again")
	tw.api.Delete("Service", "shop", "more")
	tw.awaitNoBackend("shop_again_80")
	tw.awaitNoBackend("shop_more_80")
	tw.service("again", map[string]string{"algorithm": "leastconn"}, p) // its class is there yet
	tw.awaitAnswer("any", "/again/", "200 again /")
	tw.awaitReloads("backend shop_again_80 is new; no loaded defaults section matches it")
}

func TestBackendsAtRuntimeOutliveHAProxyAndPodgate(t *testing.T) {
	tw, _ := streets(t)
	needBackends(tw)
	p := newPod(t, "new-0")
	tw.service("new", nil, p)
	tw.awaitAnswer("any", "/new/", "200 new-0 /")
	tw.stop() // which writes the file
	if err := tw.haproxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	tw.awaitAnswer("any", "/new/", "200 new-0 /")
	pid := tw.haproxy.Pid()
	tw.start()
	tw.service("newer", nil, p)
	tw.awaitAnswer("any", "/newer/", "200 new-0 /")
	tw.api.Delete("Service", "shop", "new")
	tw.awaitNoBackend("shop_new_80")
	if got := tw.haproxy.Pid(); got != pid {
		t.Errorf("HAProxy was reloaded: %q", tw.passes.reloads())
	}
}

// TestAnotherProcessOfTheSameConfigurationHasWhatItSays has a backend added to one
// process of a configuration as it is not in the next: a Service that went came
// back otherwise, and then became what it was.
func TestAnotherProcessOfTheSameConfigurationHasWhatItSays(t *testing.T) {
	tw, l := streets(t)
	needBackends(tw)
	p := newPod(t, "flip-0")
	limited := map[string]string{"maxconn": "50"}
	tw.service("flip", limited, p)
	reason := tw.reloading("more", newPod(t, "more-0"))
	tw.awaitAnswer("any", "/flip/", "200 flip-0 /")
	tw.awaitReloads(reason)
	tw.api.Delete("Service", "shop", "flip")
	tw.awaitNoBackend("shop_flip_80")
	tw.service("flip", nil, p)
	tw.awaitAnswer("any", "/flip/", "200 flip-0 /")
	tw.service("flip", limited, p)
	tw.awaitReloads(reason, "backend shop_flip_80 changed its server options")
	tw.awaitNoDifference()
	tw.stop()
	tw.start()
	tw.awaitNoDifference()
	tw.awaitReloads(reason, "backend shop_flip_80 changed its server options")
	l.check(t)
}

// TestABackendThatHAProxyDoesNotTakeIsLoaded is about a name that somebody else
// has given to a backend of the running process.
func TestABackendThatHAProxyDoesNotTakeIsLoaded(t *testing.T) {
	tw, l := streets(t)
	needBackends(tw)
	var class string
	for line := range strings.Lines(tw.filesWithout("nothing")) {
		if name, ok := strings.CutPrefix(line, "backend shop_cart_80 from "); ok {
			class = strings.TrimSpace(name)
		}
	}
	if got := tw.say(t, "add backend shop_new_80 from "+class); !strings.Contains(got, "New backend registered.") {
		t.Fatal(got)
	}
	tw.service("new", nil, newPod(t, "new-0"))
	tw.awaitAnswer("any", "/new/", "200 new-0 /")
	tw.awaitReloads("backend shop_new_80 is new; HAProxy rejected it at run time: Error during backend creation : name is already used by other proxy 'backend shop_new_80'.")
	l.check(t)
	if strings.Contains(tw.log.String(), "out of sync") {
		t.Error("there was trouble")
	}
}

// TestBackendDriftIsRepairedAndTold takes backends of ours out of the running
// HAProxy by hand.
func TestBackendDriftIsRepairedAndTold(t *testing.T) {
	tw := newTown(t)
	needBackends(tw)
	tw.resync = 300 * time.Millisecond
	loaded, added := newPod(t, "loaded"), newPod(t, "added")
	tw.service("loaded", nil, loaded)
	tw.start()
	tw.awaitAnswer("any", "/loaded/", "200 loaded /")
	tw.awaitReloads()
	tw.service("added", nil, added)
	tw.awaitAnswer("any", "/added/", "200 added /")
	for _, row := range []struct{ name, command string }{
		{"a backend is unpublished", "unpublish backend shop_NAME_80"},
		{"a backend is deleted", "unpublish backend shop_NAME_80;set server shop_NAME_80/ADDR state maint;del server shop_NAME_80/ADDR;wait 2s be-removable shop_NAME_80;del backend shop_NAME_80"},
	} {
		for _, p := range []*pod{loaded, added} {
			t.Run(row.name+" that was "+p.name, func(t *testing.T) {
				counted := tw.passes.drift()
				command := strings.NewReplacer("NAME", p.name, "ADDR", p.addr.String()).Replace(row.command)
				eventually(t, "it is done", func() error {
					reply := strings.TrimSpace(tw.say(t, command))
					if !strings.HasSuffix(reply, "Backend deleted.") && !strings.HasSuffix(reply, "Backend unpublished.") {
						return fmt.Errorf("HAProxy said %q", reply)
					}
					return nil
				})
				eventually(t, "the drift is counted", func() error {
					if tw.passes.drift() == counted {
						return errors.New("it is not")
					}
					return nil
				})
				here := *tw
				here.t = t
				here.awaitAnswer("any", "/"+p.name+"/", "200 "+p.name+" /")
			})
		}
	}
	if got := tw.passes.reloads(); len(got) != 1 {
		t.Errorf("reloads: %q", got)
	}
	if n := strings.Count(tw.log.String(), "drift found"); n < 4 {
		t.Errorf("drift was told %d times", n)
	}
	tw.awaitNoDifference()
}
