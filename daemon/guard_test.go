// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/confdir"
	"podgate/daemon/guard"
	"podgate/haproxy"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// shops is a town with five Services of two pods each, s0 to s4, and one of two
// in the background of every row: twelve servers.
func shops(t *testing.T, safety string) *town {
	tw := newTown(t)
	tw.configure("[safety]\n" + safety)
	for i := range 6 {
		name := fmt.Sprintf("s%d", i)
		tw.service(name, nil, newPod(t, name+"-0"), newPod(t, name+"-1"))
	}
	tw.start()
	tw.awaitShops()
	return tw
}

func (tw *town) awaitShops() {
	tw.t.Helper()
	for i := range 6 {
		name := fmt.Sprintf("s%d", i)
		tw.awaitServers("shop_"+name+"_80", tw.pods[name]...)
		eventually(tw.t, "/"+name+"/", func() error {
			if status, body, err := tw.get("any", "/"+name+"/"); err != nil || status != 200 {
				return fmt.Errorf("%d %s %v", status, body, err)
			}
			return nil
		})
	}
}

// forget makes the API server answer lists of these resources as if there were
// nothing, and has podgate list again.
func (tw *town) forget(resources ...string) {
	tw.api.Misbehave(kubeapitest.Hide(resources...))
	tw.api.ExpireVersions()
}

func (tw *town) remember() {
	tw.api.Behave()
	tw.api.ExpireVersions()
}

func allShops() (paths []string) {
	for i := range 6 {
		paths = append(paths, fmt.Sprintf("/s%d/", i))
	}
	return paths
}

func TestAnEmptyAnswerOfTheAPITakesNothingAway(t *testing.T) {
	for _, resources := range [][]string{{"services", "endpointslices"}, {"services"}, {"endpointslices"}} {
		t.Run(strings.Join(resources, " and "), func(t *testing.T) {
			tw := shops(t, `hold_time = "1h"`)
			l := tw.startLoad(allShops()...)
			tw.forget(resources...)
			tw.awaitLog("removal is held")
			tw.awaitLog("of 12 servers and ")
			// What is new is served meanwhile, and what moves is followed.
			tw.service("late", nil, newPod(t, "late-0"))
			tw.awaitAnswer("any", "/late/", "200 late-0 /")
			tw.awaitShops()
			tw.remember()
			tw.awaitLog(`"removal is no longer held" reason="what was missing is back"`)
			tw.endpoints("s0", newPod(t, "s0-2"))
			tw.awaitShops()
			l.check(t)
			if got := tw.passes.reloads(); !slices.Equal(got[1:], tw.reloadsForNew("late")) {
				t.Errorf("reloads: %q", got)
			}
			if _, err := guard.Held(tw.dir()); !errors.Is(err, guard.ErrNothingHeld) {
				t.Errorf("what is held: %v", err)
			}
		})
	}
}

func (tw *town) dir() confdir.Dir { return confdir.Dir(tw.haproxy.Folder) }

func TestARemovalThatLastsGoesAfterAnotherList(t *testing.T) {
	tw := shops(t, `hold_time = "1s"`)
	tw.forget("services")
	tw.awaitLog("removal is held")
	held := time.Now()
	tw.awaitLog("removal is no longer held")
	if !strings.Contains(tw.log.String(), "and listed again") {
		t.Error("it did not go because of a second list")
	}
	t.Logf("let go %s after it was held", time.Since(held).Round(time.Millisecond))
	for i := range 6 {
		tw.awaitAnswer("any", fmt.Sprintf("/s%d/", i), notFound)
	}
}

func TestARemovalIsHeldWhileTheSecondListDoesNotCome(t *testing.T) {
	tw := shops(t, `hold_time = "100ms"`)
	tw.api.Misbehave(kubeapitest.Hide("endpointslices"))
	tw.api.ExpireVersions()
	tw.awaitLog("removal is held")
	tw.api.Stop()
	tw.awaitLog("API server unreachable")
	tw.awaitShops()
	tw.api.Behave()
	if err := tw.api.Start(""); err != nil {
		t.Fatal(err)
	}
	tw.awaitLog("what was missing is back")
}

func TestConfirmLetsGoWhatIsHeld(t *testing.T) {
	tw := shops(t, `hold_time = "1h"`)
	tw.forget("services", "endpointslices")
	var held guard.Removal
	eventually(t, "what is held is told", func() (err error) {
		held, err = guard.Held(tw.dir())
		return err
	})
	if got, want := held.Loss.String(), "12 of 12 servers and 6 of 6 backends"; got != want && held.Loss.Servers < 7 {
		t.Errorf("held: %s, want %s", got, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	wrong := held
	wrong.Since = held.Since.Add(-time.Second)
	if err := guard.Confirm(ctx, tw.dir(), wrong); err != nil { // of another removal: that is over
		t.Error(err)
	}
	tw.awaitShops()
	if err := guard.Confirm(ctx, tw.dir(), held); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		tw.awaitAnswer("any", fmt.Sprintf("/s%d/", i), notFound)
	}
	tw.awaitLog(`"removal is no longer held" reason=confirmed`)
}

// TestWhatIsHeldIsSaidToBeServed: a Service without endpoints whose servers are
// held answers, and nobody is told that clients get 503.
func TestWhatIsHeldIsSaidToBeServed(t *testing.T) {
	t.Parallel()
	tw := shops(t, `hold_time = "1h"`)
	tw.forget("endpointslices")
	tw.awaitLog("removal is held")
	eventually(t, "all say that they are held", func() error {
		s, err := admin.NewClient(tw.socket).Status(t.Context(), -1)
		if err != nil {
			return err
		}
		for _, row := range s.Services {
			if row.State != admin.StateHeld || row.Held != 2 {
				return fmt.Errorf("%+v", row)
			}
		}
		if len(s.Services) != 6 || s.HAProxy.HeldRemoval == nil || s.HAProxy.HeldRemoval.Loss.Servers != 12 {
			return fmt.Errorf("%d Services, held %+v", len(s.Services), s.HAProxy.HeldRemoval)
		}
		return nil
	})
	said, err := tw.explain("shop/s3", strings.NewReplacer())
	if want := "Service shop/s3: served by 2 servers that the cluster no longer has: their removal is held, podgate confirm lets them go now\n"; err != nil || !strings.HasPrefix(said, want) {
		t.Errorf("explain: %v\n%s", err, said)
	}
	tw.awaitShops()
}

func TestAStartWithAnEmptyClusterTakesNothingAway(t *testing.T) {
	for name, down := range map[string]bool{"HAProxy runs": false, "HAProxy is down": true} {
		t.Run(name, func(t *testing.T) {
			tw := shops(t, `hold_time = "1h"`)
			tw.stop()
			if down {
				if err := tw.haproxy.KillWorker(); err != nil {
					t.Fatal(err)
				}
			}
			tw.forget("services", "endpointslices")
			tw.start()
			tw.awaitLog("removal is held")
			if down {
				if err := tw.haproxy.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			tw.awaitShops()
			tw.service("late", nil, newPod(t, "late-0"))
			tw.awaitAnswer("any", "/late/", "200 late-0 /")
			tw.awaitShops()
			tw.remember()
			tw.awaitLog("what was missing is back")
			tw.endpoints("s0", newPod(t, "s0-2"))
			tw.awaitShops()
		})
	}
}

func TestWhatPodgateTomlNoLongerAsksForGoesAtOnce(t *testing.T) {
	change := func(t *testing.T, tw *town, old, new string) {
		t.Helper()
		text, err := os.ReadFile(tw.toml)
		if err != nil || !bytes.Contains(text, []byte(old)) {
			t.Fatal(err, old)
		}
		if err := os.WriteFile(tw.toml, bytes.Replace(text, []byte(old), []byte(new), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, row := range map[string]struct{ old, new string }{
		"another namespace":    {`namespaces = ["shop"]`, `namespaces = ["bank"]`},
		"a selector":           {`namespaces = ["shop"]`, "namespaces = [\"shop\"]\nselector = \"none=such\""},
		"annotated ones alone": {`namespaces = ["shop"]`, "namespaces = [\"shop\"]\nexpose = \"annotated\""},
	} {
		t.Run(name, func(t *testing.T) {
			tw := shops(t, `hold_time = "1h"`)
			change(t, tw, row.old, row.new)
			for i := range 6 {
				tw.awaitAnswer("any", fmt.Sprintf("/s%d/", i), notFound)
			}
			if strings.Contains(tw.log.String(), "removal is held") {
				t.Error("it was held")
			}
		})
	}
	t.Run("a change of something else lets nothing go that is held", func(t *testing.T) {
		tw := shops(t, `hold_time = "1h"`)
		tw.forget("endpointslices")
		tw.awaitLog("removal is held")
		watches := tw.api.Watches()
		change(t, tw, `poll_interval = "1s"`, `poll_interval = "2s"`)
		tw.awaitLog("configuration is in force")
		eventually(t, "it watches again", func() error { // a list would not hold what is new
			if got := tw.api.Watches() - watches; got < 2 || tw.api.Watching() != 2 {
				return fmt.Errorf("%d watches more, %d are running", got, tw.api.Watching())
			}
			return nil
		})
		tw.service("late", nil, newPod(t, "late-0"))
		tw.awaitAnswer("any", "/late/", "200 late-0 /")
		tw.awaitShops()
	})
}

// TestAServiceScalesDown is about one Service that has most of the servers.
func TestAServiceScalesDown(t *testing.T) {
	tw := newTown(t)
	tw.configure("[safety]\nhold_time = \"1h\"\n")
	var pods []*pod
	for i := range 20 {
		pods = append(pods, newPod(t, fmt.Sprintf("big-%d", i)))
	}
	tw.service("big", nil, pods...)
	tw.service("small", nil, newPod(t, "small-0"))
	tw.start()
	tw.awaitServers("shop_big_80", pods...)
	l := tw.startLoad("/big/", "/small/")
	for _, p := range pods[2:] { // as Kubernetes ends them
		err := tw.api.SetSlice(kubeapi.EndpointSlice{
			Key: kubeapi.Key{Namespace: "shop", Name: "big-" + p.name}, Service: "big", AddressType: "IPv4",
			Ports:     []kubeapi.EndpointPort{{Name: "web", Protocol: "TCP", Port: p.addr.Port()}},
			Endpoints: []kubeapi.Endpoint{{Addr: p.addr.Addr(), Serving: true, Terminating: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "eighteen drain", func() error {
		servers, err := tw.runtime.Servers(t.Context(), []string{"shop_big_80"})
		drain := 0
		for _, s := range servers["shop_big_80"] {
			if s.State == haproxy.Drain {
				drain++
			}
		}
		if drain != 18 {
			err = fmt.Errorf("%d drain: %v, %w", drain, servers, err)
		}
		return err
	})
	tw.endpoints("big", pods[:2]...)
	tw.awaitServers("shop_big_80", pods[:2]...)
	l.check(t)
	if strings.Contains(tw.log.String(), "removal is held") {
		t.Error("what was announced was held")
	}
}
