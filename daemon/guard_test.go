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

// shops starts an edge with six Services, s0 to s5, of two pods each.
func shops(t *testing.T, holdTime string) *edge {
	t.Helper()
	e := newEdge(t)
	e.set(t, "safety.hold_time", holdTime)
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

func (e *edge) awaitShopsGone(t *testing.T) {
	t.Helper()
	for _, path := range allShops() {
		e.awaitAnswer(t, "any", path, notFound)
	}
}

// hide makes the API server answer lists of these resources with empty lists, and makes
// podgate list again.
func (e *edge) hide(t *testing.T, resources ...string) {
	t.Helper()
	e.Cluster.Misbehave(kubeapitest.Hide(resources...))
	e.Cluster.ExpireVersions()
	e.awaitHidden(t, resources...)
}

// awaitHidden waits until podgate has requested lists of these resources while they were
// hidden: an object that is added earlier could be missing from its list.
func (e *edge) awaitHidden(t *testing.T, resources ...string) {
	t.Helper()
	for _, r := range resources {
		awaitThat(t, "podgate lists "+r, func() bool { return e.Cluster.Hidden(r) > 0 })
	}
}

// show ends hide.
func (e *edge) show() {
	e.Cluster.Behave()
	e.Cluster.ExpireVersions()
}

func allShops() (paths []string) {
	for i := range 6 {
		paths = append(paths, fmt.Sprintf("/s%d/", i))
	}
	return paths
}

func TestAnEmptyAnswerOfTheAPIServerRemovesNothing(t *testing.T) {
	t.Parallel()
	for _, resources := range [][]string{{"services", "endpointslices"}, {"services"}, {"endpointslices"}} {
		t.Run(strings.Join(resources, " and "), func(t *testing.T) {
			t.Parallel()
			e := shops(t, "1h")
			l := e.startLoad(t, allShops()...)
			e.hide(t, resources...)
			e.awaitLog(t, "removal is held")
			e.awaitLog(t, "of 12 servers and ")
			// New Services and changed pods are applied meanwhile.
			e.service(t, "late", nil, newPod(t, "late-0"))
			e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
			e.awaitShops(t)
			e.show()
			e.awaitLog(t, `"removal is no longer held" reason="nothing is missing any more"`)
			e.endpoints(t, "s0", newPod(t, "s0-2"))
			e.awaitShops(t)
			l.check(t)
			e.checkOneReload(t)
			if _, err := guard.Held(e.dir()); !errors.Is(err, guard.ErrNothingHeld) {
				t.Errorf("the held removal: %v", err)
			}
		})
	}
}

func (e *edge) dir() confdir.Dir { return confdir.Dir(e.HAProxy.Folder) }

func TestARemovalIsReleasedAfterASecondList(t *testing.T) {
	t.Parallel()
	e := shops(t, "1s")
	e.hide(t, "services")
	e.awaitLog(t, "removal is held")
	held := time.Now()
	e.awaitLog(t, "removal is no longer held")
	if !strings.Contains(e.Log.String(), "and still missing from a new list") {
		t.Error("the second list was not the reason")
	}
	t.Logf("released after %s", time.Since(held).Round(time.Millisecond))
	e.awaitShopsGone(t)
}

func TestConfirmReleasesTheHeldRemoval(t *testing.T) {
	t.Parallel()
	e := shops(t, "1h")
	e.hide(t, "services", "endpointslices")
	var held guard.Removal
	eventually(t, "the file of the held removal", func() (err error) {
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
	if err := guard.Confirm(ctx, e.dir(), wrong); err != nil { // another removal, which is no longer held
		t.Error(err)
	}
	e.awaitShops(t)
	must(t, guard.Confirm(ctx, e.dir(), held))
	e.awaitShopsGone(t)
	e.awaitLog(t, `"removal is no longer held" reason=confirmed`)
}

// TestStatusAndExplainShowHeldServers has Services without endpoints whose servers are
// held, and so serve: neither status nor explain reports that clients get 503.
func TestStatusAndExplainShowHeldServers(t *testing.T) {
	t.Parallel()
	e := shops(t, "1h")
	e.hide(t, "endpointslices")
	e.awaitLog(t, "removal is held")
	eventually(t, "status shows all Services as held", func() error {
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
	got, err := e.explain(t, "shop/s3", strings.NewReplacer())
	if want := "Service shop/s3: served by 2 servers that are no longer in the cluster: their removal is held; podgate confirm removes them now\n"; err != nil || !strings.HasPrefix(got, want) {
		t.Errorf("explain: %v\n%s", err, got)
	}
	e.awaitShops(t)
}

func TestAStartWithAnEmptyClusterRemovesNothing(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]bool{"HAProxy runs": false, "HAProxy is down": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := shops(t, "1h")
			e.stop(t)
			if down {
				must(t, e.HAProxy.KillWorker())
			}
			e.Cluster.Misbehave(kubeapitest.Hide("services", "endpointslices"))
			e.start(t)
			e.awaitHidden(t, "services", "endpointslices")
			e.awaitLog(t, "removal is held")
			if down {
				must(t, e.HAProxy.Restart(t.Context()))
			}
			e.awaitShops(t)
			e.service(t, "late", nil, newPod(t, "late-0"))
			e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
			e.awaitShops(t)
			e.show()
			e.awaitLog(t, "nothing is missing any more")
			e.endpoints(t, "s0", newPod(t, "s0-2"))
			e.awaitShops(t)
		})
	}
}

func TestRemovalsByPodgateTomlAreNotHeld(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		key   string
		value any
	}{
		"another namespace":       {"kubernetes.namespaces", []string{"bank"}},
		"a selector":              {"kubernetes.selector", "none=such"},
		"only annotated Services": {"kubernetes.expose", "annotated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := shops(t, "1h")
			e.set(t, row.key, row.value)
			e.awaitShopsGone(t)
			if strings.Contains(e.Log.String(), "removal is held") {
				t.Error("the removal was held")
			}
		})
	}
	t.Run("a change of another key releases no held removal", func(t *testing.T) {
		t.Parallel()
		e := shops(t, "1h")
		e.hide(t, "endpointslices")
		e.awaitLog(t, "removal is held")
		watches := e.Cluster.Watches()
		e.set(t, "kubernetes.poll_interval", "2s")
		e.awaitLog(t, "podgate.toml is in force")
		eventually(t, "podgate watches again", func() error { // a new list would lack the new Service
			if got := e.Cluster.Watches() - watches; got < 2 || e.Cluster.Watching() != 2 {
				return fmt.Errorf("%d new watches, %d are running", got, e.Cluster.Watching())
			}
			return nil
		})
		e.service(t, "late", nil, newPod(t, "late-0"))
		e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
		e.awaitShops(t)
	})
}

// TestAServiceScalesDown has one Service with most of the servers, whose pods terminate
// before they are removed.
func TestAServiceScalesDown(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.set(t, "safety.hold_time", "1h")
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
	e.awaitStates(t, "shop_big_80", append(slices.Repeat([]haproxy.ServerState{haproxy.Ready}, 2), slices.Repeat([]haproxy.ServerState{haproxy.Drain}, 18)...)...)
	e.endpoints(t, "big", pods[:2]...)
	e.awaitServers(t, "shop_big_80", pods[:2]...)
	l.check(t)
	if strings.Contains(e.Log.String(), "removal is held") {
		t.Error("the removal of terminating pods was held")
	}
}
