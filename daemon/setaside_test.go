// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"podgate/daemon/admin"
)

func TestAServiceWhosePortIsTakenIsSetAside(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	taken := newPod(t, "taken")
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	e.configure(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]\n", taken.Addr.Addr(), taken.Addr.Port()))
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	l := e.startLoad(t, "/cart/a")
	e.service(t, "db", map[string]string{"tcp": fmt.Sprint(taken.Addr.Port())}, newPod(t, "db-0"))
	e.awaitLog(t, "Service shop/db port web: set aside and not served: listen tcp4 "+taken.Addr.String()+": bind: address already in use")
	e.awaitCritical(t, "db", "not served yet: HAProxy cannot load it: listen tcp4 "+taken.Addr.String())
	e.service(t, "new", nil, newPod(t, "new-0"))
	e.awaitAnswer(t, "any", "/new/", "200 new-0 /")
	e.endpoints(t, "cart", newPod(t, "cart-1"))
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
	if log := e.Log.String(); strings.Contains(log, "problem has ended") || strings.Count(log, "set aside") != 1 {
		t.Error("Service db did not stay set aside")
	}
	// Another version of the Service is tried immediately.
	e.service(t, "db", nil, newPod(t, "db-1"))
	e.awaitAnswer(t, "any", "/db/", "200 db-1 /")
	e.awaitLog(t, `level=INFO msg="problem has ended" service=shop/db`)
	e.awaitHealthy(t)
	// HAProxy continues to serve the version that it has.
	e.service(t, "db", map[string]string{"tcp": fmt.Sprint(taken.Addr.Port())}, newPod(t, "db-2"))
	e.awaitLog(t, "Service shop/db port web: set aside, the last loaded version stays in service: listen tcp4 ")
	eventually(t, "status is degraded and in sync", func() error {
		s, err := admin.NewClient(e.Socket).Status(t.Context(), -1)
		if err != nil || s.Level != admin.Degraded || !s.InSync {
			return fmt.Errorf("%s %q, in sync %t, %v", s.Level, s.Reasons, s.InSync, err)
		}
		return nil
	})
	l.check(t)
}

// awaitCritical waits until the status is critical, and shows a Service that waits, with why.
func (e *edge) awaitCritical(t *testing.T, service, why string) {
	t.Helper()
	eventually(t, service+" waits", func() error {
		client := admin.NewClient(e.Socket)
		s, err := client.Status(t.Context(), -1)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(s.Services, func(r admin.Row) bool { return r.Service == "shop/"+service })
		if i < 0 || s.Services[i].State != admin.StateWaiting || s.Services[i].Up != 0 || s.InSync || s.Level != admin.Critical || s.Count.Served != len(s.Services)-1 {
			return fmt.Errorf("%s %q, in sync %t, %+v", s.Level, s.Reasons, s.InSync, s.Services)
		}
		text, err := e.explain(t, service, strings.NewReplacer())
		if err != nil || !strings.Contains(text, why) {
			return fmt.Errorf("no %q in %s, %v", why, text, err)
		}
		return nil
	})
}

func TestAServiceThatHAProxyRejectsIsSetAside(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	e.set(t, "haproxy.binary", rejecting(t, "/odd"))
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	for i := range 7 {
		name := fmt.Sprintf("good%d", i)
		e.service(t, name, nil, newPod(t, name))
	}
	e.service(t, "cart", map[string]string{"check-path": "/odd"}, newPod(t, "cart-1"))
	e.service(t, "odd", map[string]string{"check-path": "/odd"}, newPod(t, "odd-0"))
	const refused = ": check configuration: haproxy -c rejects podgate's configuration: config : parsing [podgate.cfg:7] : odd"
	e.awaitLog(t, "Service shop/odd port web: set aside and not served"+refused)
	e.awaitLog(t, "Service shop/cart port web: set aside, the last loaded version stays in service"+refused)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /") // with its new pod and its previous settings
	e.awaitAnswer(t, "any", "/odd/", notFound)
	for i := range 7 {
		e.awaitAnswer(t, "any", fmt.Sprintf("/good%d/", i), fmt.Sprintf("200 good%d /", i))
	}
	e.service(t, "late", nil, newPod(t, "late")) // another reload
	e.awaitAnswer(t, "any", "/late/", "200 late /")
	if log := e.Log.String(); strings.Contains(log, "problem has ended") || strings.Count(log, "set aside") != 2 {
		t.Error("the Services did not stay set aside")
	}
	e.service(t, "odd", nil, newPod(t, "odd-1"))
	e.awaitAnswer(t, "any", "/odd/", "200 odd-1 /")
}
