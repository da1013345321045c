// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"os"
	"strings"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

func TestAServiceThatHAProxyHasNotLoadedWaits(t *testing.T) {
	v := newView(t, 2, 3)
	name := v.Result.State.Backends.At(0).Name
	delete(v.Health.Up, name)
	if rows := newRows(v); rows[0].State != StateUp || rows[1].State != StateUp {
		t.Errorf("in sync since HAProxy was asked: %+v", rows)
	}

	v.Edge.InSync, v.Edge.ReloadAt, v.Edge.ReloadReasons = false, time.Now().Add(time.Second), haproxy.Reasons{{Kind: haproxy.BackendNew, Object: name, Detail: "is new"}}
	v.Edge.Trouble = "haproxy -c rejects the operator's files: line 7"
	rows := newRows(v)
	if rows[0].State != StateWaiting || rows[0].Up != 0 || rows[1].State != StateUp {
		t.Errorf("out of sync: %+v", rows)
	}
	if n := countStates(v); n[StateWaiting] != 1 || n[StateUp] != 1 {
		t.Errorf("states: %v", n)
	}
	if n := newStatus(v, time.Now()).Count; n.Served != 1 || n.Services != 2 {
		t.Errorf("%d of %d Services are served", n.Served, n.Services)
	}
	if n := countServers(v); n.Up != 3 || n.Down != 3 {
		t.Errorf("servers: %+v", n)
	}
	x, err := Explain(t.Context(), v, Query{Of: "shop/svc-00000"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(x.Service.Why, "not up to date: backend "+name+" is new") || !strings.HasSuffix(x.Service.Why, v.Edge.Trouble) {
		t.Errorf("explained: %s", x.Service.Why)
	}
}

func TestServicesAreUnknownIfHAProxyDoesNotAnswer(t *testing.T) {
	v := newView(t, 2, 3)
	v.Edge.Process, v.Health.Up = runtime.Process{}, nil
	for _, r := range newRows(v) {
		if r.State != StateUnknown || serversText(r) != "?/3" {
			t.Errorf("%+v, %s up", r, serversText(r))
		}
	}
	if text := printed(newStatus(v, time.Now()), Style{}); !strings.Contains(text, "servers: 6 (state unknown)\n") {
		t.Error(text)
	}
	x, err := Explain(t.Context(), v, Query{Of: "shop/svc-00000"})
	if err != nil || x.Service.State != StateUnknown {
		t.Errorf("explained as %+v, %v", x.Service, err)
	}
}

func TestEveryStateOfAServiceIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../packaging/doc/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, states, _ := strings.Cut(string(text), "\n### States of a Service\n")
	states, _, _ = strings.Cut(states, "\n## ")
	for _, state := range serviceStates() {
		if !strings.Contains(states, "\n| `"+string(state)+"` |") {
			t.Errorf("operations.md does not explain %q", state)
		}
	}
}
