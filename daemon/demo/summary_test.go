// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon"
)

func TestSummary(t *testing.T) {
	got := summary(count{
		elapsed: 30 * time.Second, requests: 27123, failed: 14, endpoints: 512, services: 2, applies: 301, reloads: 2,
		failures: []note{{61 * time.Second, "GET http://127.0.0.1:8080/cart/: status 503"}},
		reasons:  []note{{0, "settings changed"}, {12 * time.Second, "backend shop_sale-1_80 is new"}},
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

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name  string
		count count
		want  string
	}{
		{"every request answered", count{requests: 10}, ""},
		{"one request failed", count{requests: 10, failed: 1}, "1 of 10 requests failed"},
		{"nobody could ask", count{}, "no request was served"},
	} {
		got := ""
		if err := verdict(tt.count); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestTallyCountsPasses(t *testing.T) {
	var ty tally
	ty.pass(daemon.Pass{Reload: []string{"frontend http is new", "settings changed"}})
	ty.pass(daemon.Pass{Added: 1})
	ty.pass(daemon.Pass{Left: 2, Maps: 1, Reload: []string{"settings changed"}})
	c := ty.now()
	if c.applies != 2 || c.reloads != 2 {
		t.Errorf("%d applies and %d reloads, want 2 and 2", c.applies, c.reloads)
	}
	want := []string{"frontend http is new, settings changed", "settings changed"}
	if diff := cmp.Diff(want, texts(c.reasons)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func TestTallyKeepsTheFirstFailures(t *testing.T) {
	var ty tally
	var kept int
	for i := range 2 * keptNotes {
		if ty.fail(fmt.Sprint(i)) {
			kept++
		}
	}
	c := ty.now()
	if c.failed != 2*keptNotes || len(c.failures) != keptNotes || kept != keptNotes || c.failures[0].text != "0" {
		t.Errorf("%d failed, %d said to be kept, kept: %v", c.failed, kept, texts(c.failures))
	}
}

func texts(notes []note) (all []string) {
	for _, n := range notes {
		all = append(all, n.text)
	}
	return all
}
