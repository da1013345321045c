// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"podgate/haproxy/runtime"
	"podgate/kubeapi/kubeapitest"
)

// follows writes podgate.toml with these API servers.
func (e *edge) follows(t *testing.T, replicas ...*kubeapitest.Replica) {
	t.Helper()
	var urls []string
	for _, r := range replicas {
		urls = append(urls, r.URL())
	}
	e.Set("kubernetes.server", urls)
	e.configure(t, "")
}

// says waits until the log has so many lines with text.
func (e *edge) says(t *testing.T, text string, times int) {
	t.Helper()
	eventually(t, "the log", func() error {
		if got := strings.Count(e.Log.String(), text); got != times {
			return fmt.Errorf("%d lines with %q, want %d", got, text, times)
		}
		return nil
	})
}

func TestTheNextAPIServerIsFollowedAndKept(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	one, two := kubeapitest.StartReplica(t, e.Cluster), kubeapitest.StartReplica(t, e.Cluster)
	e.follows(t, one, two)
	l := e.openStreets(t)
	const changed = `msg="another API server is followed"`

	one.Stop()
	e.endpoints(t, "cart", newPod(t, "cart-2"))
	e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
	e.says(t, changed+" server="+two.URL()+" last="+one.URL(), 1)

	one.Start()
	before := one.Requests()
	for n := range 10 {
		e.endpoints(t, "cart", newPod(t, fmt.Sprintf("cart-%d", n+3)))
		e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
	}
	if got := one.Requests(); got != before {
		t.Errorf("the first was asked %d times after it was left", got-before)
	}

	two.Stop()
	e.endpoints(t, "cart", newPod(t, "cart-13"))
	e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
	e.says(t, changed, 2)

	// A changed list is followed without a restart.
	three := kubeapitest.StartReplica(t, e.Cluster)
	e.follows(t, three, two)
	eventually(t, "the new one is asked", func() error {
		if three.Requests() == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	one.Stop()
	e.endpoints(t, "cart", newPod(t, "cart-14"))
	e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
	l.check(t)
	e.says(t, changed, 2)
	e.says(t, "API server unreachable", 0)
	if got := e.Reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
}

func TestAnOutageOfTheAPIServerCostsNoRequest(t *testing.T) {
	t.Parallel()
	e, l := streets(t)
	for n := range 3 {
		e.Cluster.Stop()
		e.says(t, "API server unreachable", n+1)
		e.endpoints(t, "cart", newPod(t, fmt.Sprintf("cart-%d", n+2)))
		must(t, e.Cluster.Start(""))
		e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
		e.says(t, "API server reachable", n+1)
	}
	l.check(t)
	if got := e.Reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
}

// TestTheAPIServerIsGoneForGood: podgate and HAProxy are restarted again and
// again, each alone and together, and traffic stays as it was.
func TestTheAPIServerIsGoneForGood(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	l := e.openStreets(t)
	e.endpoints(t, "shop", newPod(t, "shop-2")) // by runtime, not by the reload
	e.awaitServers(t, "shop_shop_80", e.pods["shop"]...)
	awaitFile(t, e, e.pods["shop"][0].Addr.String())
	e.Cluster.Stop()
	e.says(t, "API server unreachable", 1)

	serves := func() {
		t.Helper()
		e.awaitAnswer(t, "any", "/cart/x", "200 cart-0 /x")
		e.awaitAnswer(t, "any", "/shop/x", "200 shop-2 /x")
		e.awaitServers(t, "shop_cart_80", e.pods["cart"]...)
		e.awaitServers(t, "shop_shop_80", e.pods["shop"]...)
	}
	restartPodgate := func() {
		t.Helper()
		e.stop(t)
		e.Log.Reset()
		e.start(t)
		e.says(t, "API server unreachable", 1)
	}
	restartHAProxy := func() {
		t.Helper()
		must(t, e.HAProxy.Restart(t.Context()))
	}

	// What may be done under load costs no request.
	for range 3 {
		restartPodgate()
		serves()
	}
	before, err := e.Runtime.Process(t.Context())
	must(t, err)
	somebody := runtime.New(e.HAProxy.Admin, e.HAProxy.Master, e.HAProxy.Folder)
	if _, err := somebody.Reload(t.Context(), before.Generation); err != nil {
		t.Fatal(err)
	}
	serves()
	l.check(t)

	for range 3 {
		restartHAProxy()
		serves()
		restartPodgate()
		serves()
		e.stop(t) // HAProxy starts while there is no podgate
		restartHAProxy()
		serves()
		e.start(t)
		serves()
	}
	if got := e.Reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
	if got := e.Drift(); got > 0 {
		t.Errorf("drift %d, want none", got)
	}

	must(t, e.Cluster.Start(""))
	e.endpoints(t, "cart", newPod(t, "cart-9"))
	e.awaitAnswer(t, "any", "/cart/x", "200 cart-9 /x")
}

// awaitFile waits until podgate.cfg holds text.
func awaitFile(t *testing.T, e *edge, want string) {
	t.Helper()
	eventually(t, "podgate.cfg", func() error {
		text, err := os.ReadFile(filepath.Join(e.HAProxy.Folder, "podgate.cfg"))
		if err == nil && !strings.Contains(string(text), want) {
			err = fmt.Errorf("it does not hold %s", want)
		}
		return err
	})
}
