// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/confdir"
	"podgate/daemon/edgetest"
	"podgate/daemon/guard"
	"podgate/haproxy"
	"podgate/kubeapi/kubeapitest"
)

// shops is an edge with five Services of two pods each, s0 to s4, and one of two
// in the background of every row: twelve servers.
func shops(t *testing.T, holdTime string) *edge {
	t.Helper()
	e := newEdge(t)
	e.Set("safety.hold_time", holdTime)
	e.configure(t, "")
	for i := range 6 {
		name := fmt.Sprintf("s%d", i)
		e.service(t, name, nil, newPod(t, name+"-0"), newPod(t, name+"-1"))
	}
	e.start(t)
	e.awaitShops(t)
	return e
}

func (e *edge) awaitShops(t *testing.T) {
	t.Helper()
	for i := range 6 {
		name := fmt.Sprintf("s%d", i)
		e.awaitServers(t, "shop_"+name+"_80", e.pods[name]...)
		eventually(t, "/"+name+"/", func() error {
			if got, err := e.Get(t.Context(), "any", "/"+name+"/"); err != nil || !strings.HasPrefix(got, "200 ") {
				return fmt.Errorf("%s %v", got, err)
			}
			return nil
		})
	}
}

// forget makes the API server answer lists of these resources as if there were
// nothing, and has podgate list again.
func (e *edge) forget(resources ...string) {
	e.Cluster.Misbehave(kubeapitest.Hide(resources...))
	e.Cluster.ExpireVersions()
}

func (e *edge) remember() {
	e.Cluster.Behave()
	e.Cluster.ExpireVersions()
}

func allShops() (paths []string) {
	for i := range 6 {
		paths = append(paths, fmt.Sprintf("/s%d/", i))
	}
	return paths
}

func TestAnEmptyAnswerOfTheAPITakesNothingAway(t *testing.T) {
	t.Parallel()
	for _, resources := range [][]string{{"services", "endpointslices"}, {"services"}, {"endpointslices"}} {
		t.Run(strings.Join(resources, " and "), func(t *testing.T) {
			t.Parallel()
			e := shops(t, "1h")
			l := e.startLoad(t, allShops()...)
			e.forget(resources...)
			e.awaitLog(t, "removal is held")
			e.awaitLog(t, "of 12 servers and ")
			// What is new is served meanwhile, and what moves is followed.
			e.service(t, "late", nil, newPod(t, "late-0"))
			e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
			e.awaitShops(t)
			e.remember()
			e.awaitLog(t, `"removal is no longer held" reason="nothing is missing any more"`)
			e.endpoints(t, "s0", newPod(t, "s0-2"))
			e.awaitShops(t)
			l.check(t)
			if got := e.Reloads(); !slices.Equal(got[1:], e.reloadsForNew(t, "late")) {
				t.Errorf("reloads: %q", got)
			}
			if _, err := guard.Held(e.dir()); !errors.Is(err, guard.ErrNothingHeld) {
				t.Errorf("what is held: %v", err)
			}
		})
	}
}

func (e *edge) dir() confdir.Dir { return confdir.Dir(e.HAProxy.Folder) }

func TestARemovalThatLastsGoesAfterAnotherList(t *testing.T) {
	t.Parallel()
	e := shops(t, "1s")
	e.forget("services")
	e.awaitLog(t, "removal is held")
	held := time.Now()
	e.awaitLog(t, "removal is no longer held")
	if !strings.Contains(e.Log.String(), "and still missing from a new list") {
		t.Error("it did not go because of a second list")
	}
	t.Logf("let go %s after it was held", time.Since(held).Round(time.Millisecond))
	for i := range 6 {
		e.awaitAnswer(t, "any", fmt.Sprintf("/s%d/", i), notFound)
	}
}

func TestARemovalIsHeldWhileTheSecondListDoesNotCome(t *testing.T) {
	t.Parallel()
	e := shops(t, "100ms")
	e.Cluster.Misbehave(kubeapitest.Hide("endpointslices"))
	e.Cluster.ExpireVersions()
	e.awaitLog(t, "removal is held")
	e.Cluster.Stop()
	e.awaitLog(t, "API server unreachable")
	e.awaitShops(t)
	e.Cluster.Behave()
	must(t, e.Cluster.Start(""))
	e.awaitLog(t, "nothing is missing any more")
}

func TestConfirmLetsGoWhatIsHeld(t *testing.T) {
	t.Parallel()
	e := shops(t, "1h")
	e.forget("services", "endpointslices")
	var held guard.Removal
	eventually(t, "what is held is told", func() (err error) {
		held, err = guard.Held(e.dir())
		return err
	})
	if got, want := held.Loss.String(), "12 of 12 servers and 6 of 6 backends"; got != want && held.Loss.Servers < 7 {
		t.Errorf("held: %s, want %s", got, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	wrong := held
	wrong.Since = held.Since.Add(-time.Second)
	if err := guard.Confirm(ctx, e.dir(), wrong); err != nil { // of another removal: that is over
		t.Error(err)
	}
	e.awaitShops(t)
	must(t, guard.Confirm(ctx, e.dir(), held))
	for i := range 6 {
		e.awaitAnswer(t, "any", fmt.Sprintf("/s%d/", i), notFound)
	}
	e.awaitLog(t, `"removal is no longer held" reason=confirmed`)
}

// TestWhatIsHeldIsSaidToBeServed: a Service without endpoints whose servers are
// held answers, and nobody is told that clients get 503.
func TestWhatIsHeldIsSaidToBeServed(t *testing.T) {
	t.Parallel()
	e := shops(t, "1h")
	e.forget("endpointslices")
	e.awaitLog(t, "removal is held")
	eventually(t, "all say that they are held", func() error {
		s, err := admin.NewClient(e.Socket).Status(t.Context(), -1)
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
	said, err := e.explain(t, "shop/s3", strings.NewReplacer())
	if want := "Service shop/s3: served by 2 servers that are no longer in the cluster: their removal is held; podgate confirm removes them now\n"; err != nil || !strings.HasPrefix(said, want) {
		t.Errorf("explain: %v\n%s", err, said)
	}
	e.awaitShops(t)
}

func TestAStartWithAnEmptyClusterTakesNothingAway(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]bool{"HAProxy runs": false, "HAProxy is down": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := shops(t, "1h")
			e.stop(t)
			if down {
				must(t, e.HAProxy.KillWorker())
			}
			e.forget("services", "endpointslices")
			e.start(t)
			e.awaitLog(t, "removal is held")
			if down {
				must(t, e.HAProxy.Restart(t.Context()))
			}
			e.awaitShops(t)
			e.service(t, "late", nil, newPod(t, "late-0"))
			e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
			e.awaitShops(t)
			e.remember()
			e.awaitLog(t, "nothing is missing any more")
			e.endpoints(t, "s0", newPod(t, "s0-2"))
			e.awaitShops(t)
		})
	}
}

func TestWhatPodgateTomlNoLongerAsksForGoesAtOnce(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		key   string
		value any
	}{
		"another namespace":    {"kubernetes.namespaces", []string{"bank"}},
		"a selector":           {"kubernetes.selector", "none=such"},
		"annotated ones alone": {"kubernetes.expose", "annotated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := shops(t, "1h")
			e.Set(row.key, row.value)
			e.configure(t, "")
			for i := range 6 {
				e.awaitAnswer(t, "any", fmt.Sprintf("/s%d/", i), notFound)
			}
			if strings.Contains(e.Log.String(), "removal is held") {
				t.Error("it was held")
			}
		})
	}
	t.Run("a change of something else lets nothing go that is held", func(t *testing.T) {
		t.Parallel()
		e := shops(t, "1h")
		e.forget("endpointslices")
		e.awaitLog(t, "removal is held")
		watches := e.Cluster.Watches()
		e.Set("kubernetes.poll_interval", "2s")
		e.configure(t, "")
		e.awaitLog(t, "podgate.toml is in force")
		eventually(t, "it watches again", func() error { // a list would not hold what is new
			if got := e.Cluster.Watches() - watches; got < 2 || e.Cluster.Watching() != 2 {
				return fmt.Errorf("%d watches more, %d are running", got, e.Cluster.Watching())
			}
			return nil
		})
		e.service(t, "late", nil, newPod(t, "late-0"))
		e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
		e.awaitShops(t)
	})
}

// TestAServiceScalesDown is about one Service that has most of the servers.
func TestAServiceScalesDown(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.configure(t, "[safety]\nhold_time = \"1h\"\n")
	var pods []*edgetest.Pod
	for i := range 20 {
		pods = append(pods, newPod(t, fmt.Sprintf("big-%d", i)))
	}
	e.service(t, "big", nil, pods...)
	e.service(t, "small", nil, newPod(t, "small-0"))
	e.start(t)
	e.awaitServers(t, "shop_big_80", pods...)
	l := e.startLoad(t, "/big/", "/small/")
	must(t, e.Cluster.SetEndpoints("big", append(edgetest.Ready(pods[:2]...), edgetest.Terminating(pods[2:]...)...)...)) // as Kubernetes ends them
	eventually(t, "eighteen drain", func() error {
		servers, err := e.Runtime.Servers(t.Context(), []string{"shop_big_80"})
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
	e.endpoints(t, "big", pods[:2]...)
	e.awaitServers(t, "shop_big_80", pods[:2]...)
	l.check(t)
	if strings.Contains(e.Log.String(), "removal is held") {
		t.Error("what was announced was held")
	}
}
