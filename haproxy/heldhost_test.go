// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// TestHeldHostsAreInTheMapsOfTheirFrontends: HAProxy loads a routes map only if it has
// the frontend.
func TestHeldHostsAreInTheMapsOfTheirFrontends(t *testing.T) {
	plain := haproxy.Frontend{Name: "podgate_http", Mode: haproxy.HTTP}
	tls := haproxy.Frontend{Name: "podgate_https", Mode: haproxy.HTTP, TLS: haproxy.Termination{Default: "default.pem"}}
	for _, row := range []struct {
		name      string
		frontends []haproxy.Frontend
		want      []string
	}{
		{"no frontend", nil, nil},
		{"plain", []haproxy.Frontend{plain}, []string{haproxy.RoutesMap}},
		{"TLS", []haproxy.Frontend{tls}, []string{haproxy.TLSRoutesMap}},
		{"both", []haproxy.Frontend{plain, tls}, []string{haproxy.RoutesMap, haproxy.TLSRoutesMap}},
	} {
		s := haproxy.State{Frontends: row.frontends, HeldHosts: []haproxy.HeldHost{{Host: "bank.example.com", Namespace: "shop"}}}
		var got []string
		for _, m := range s.Maps() {
			if len(m.Entries) > 0 && m.Name != haproxy.NodeMap {
				got = append(got, m.Name)
			}
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}
