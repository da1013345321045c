// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"podgate/daemon/admin"
	"podgate/daemon/edgetest"
)

// freeReloads is how many reloads a namespace may cause in ten minutes without a pause.
const freeReloads = 10

// causeReloads calls change until the namespace shop has caused freeReloads, and then makes
// the pause longer than the test.
func (e *edge) causeReloads(t *testing.T, change func(maxconn int)) {
	t.Helper()
	e.set(t, "haproxy.reload_interval", "0s")
	awaitThat(t, "the first reload", func() bool { return len(e.Reloads()) > 0 })
	for n := range freeReloads {
		before := len(e.Reloads())
		change(n + 2)
		awaitThat(t, "another reload", func() bool { return len(e.Reloads()) > before })
	}
	e.set(t, "haproxy.reload_interval", "10m")
	e.awaitLog(t, `msg="namespace causes reload after reload, further reloads for it are delayed" namespace=shop`)
}

// TestANamespaceThatCausesReloadAfterReloadIsSlowedDownAlone changes a Service of one
// namespace again and again. Its backend has a name from which its namespace cannot be
// seen.
func TestANamespaceThatCausesReloadAfterReloadIsSlowedDownAlone(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.Set("kubernetes.namespaces", []string{"shop", "bank"})
	e.configure(t, "")
	cart := newPod(t, "cart-0")
	noisy := func(maxconn int) {
		t.Helper()
		e.service(t, "cart", map[string]string{"backend-name": "quiet", "maxconn": fmt.Sprint(maxconn)}, cart)
	}
	quiet := func(maxconn int) {
		t.Helper()
		pay := edgetest.Service("pay", map[string]string{"maxconn": fmt.Sprint(maxconn)})
		pay.Namespace = "bank"
		must(t, e.Cluster.PutService(pay))
	}
	noisy(1)
	quiet(1)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.causeReloads(t, noisy)
	reloads := len(e.Reloads())
	const line = "namespace shop caused 10 reloads in ten minutes: its next changes that need a reload wait until "
	isSlow := func(want bool) {
		t.Helper()
		eventually(t, "status", func() error {
			s, err := admin.NewClient(e.Socket).Status(t.Context(), -1)
			slow := slices.ContainsFunc(s.Reasons, func(r string) bool { return strings.HasPrefix(r, line) })
			if err != nil || slow != want || len(s.HAProxy.ReloadReasons) > 0 != want || !s.InSync || s.Level == admin.Critical {
				return fmt.Errorf("%s %q, in sync %t, reload because of %q, %v", s.Level, s.Reasons, s.InSync, s.HAProxy.ReloadReasons, err)
			}
			return nil
		})
	}
	noisy(100)
	isSlow(true)
	e.endpoints(t, "cart", newPod(t, "cart-1")) // changes at run time do not wait
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
	cart = e.pods["cart"][0]
	if got := len(e.Reloads()); got != reloads {
		t.Errorf("%d reloads, want %d", got, reloads)
	}
	quiet(2)
	awaitThat(t, "a reload for the other namespace", func() bool { return len(e.Reloads()) == reloads+1 })
	isSlow(false) // the reload for the other namespace loaded its change as well
	noisy(101)
	isSlow(true)
	if got := len(e.Reloads()); got != reloads+1 {
		t.Errorf("%d reloads, want %d", got, reloads+1)
	}
}
