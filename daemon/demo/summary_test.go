// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon"
	"podgate/daemon/edgetest"
	"podgate/haproxy"
)

func TestSummary(t *testing.T) {
	began := time.Now()
	got := summary(count{
		Report: edgetest.Report{Sent: 27123, Failed: 14, Failures: []edgetest.Failure{{
			At: began.Add(61 * time.Second), Err: edgetest.StatusError(503),
			Request: edgetest.Request{Addr: netip.MustParseAddrPort("127.0.0.1:8080"), Path: "/cart/"},
		}}},
		began: began, elapsed: 30 * time.Second, endpoints: 512, services: 2, applies: 301, reloads: 2,
		reasons: []note{{0, "settings changed"}, {12 * time.Second, "backend shop_sale-1_80 is new"}},
	})
	want := `
podgate demo, 30s:

  requests              27123  (904 a second)
  failed                   14
       1:01 GET http://127.0.0.1:8080/cart/: status 503
            and 13 more
  endpoint changes        512
  Services added            2
  runtime applies         301
  reloads                   2
       0:00 settings changed
       0:12 backend shop_sale-1_80 is new
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTallyCountsPasses(t *testing.T) {
	var ty tally
	ty.pass(daemon.Pass{Reload: haproxy.Reasons{{Kind: haproxy.FrontendChanged, Object: "http", Detail: "is new"}, {Kind: haproxy.SettingsChanged}}})
	ty.pass(daemon.Pass{Added: 1})
	ty.pass(daemon.Pass{Left: 2, Maps: 1, Reload: haproxy.Reasons{{Kind: haproxy.SettingsChanged}}})
	c := ty.now()
	if c.applies != 2 || c.reloads != 2 {
		t.Errorf("%d applies and %d reloads, want 2 and 2", c.applies, c.reloads)
	}
	want := []string{"frontend http is new, settings changed", "settings changed"}
	if diff := cmp.Diff(want, texts(c.reasons)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func texts(notes []note) (all []string) {
	for _, n := range notes {
		all = append(all, n.text)
	}
	return all
}
