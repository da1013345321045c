// SPDX-License-Identifier: Apache-2.0

package haproxy

import "testing"

func TestMatchChoosesAsTheFrontendDoes(t *testing.T) {
	s := State{Routes: []Route{
		{Path: "/old", FoldCase: true, Backend: "folded"},
		{Path: "/plain", Backend: "plain"},
		{Host: "*.example.com", Backend: "wild"},
		{Host: "*.example.com", Path: "/only", Backend: "wildpath"},
		{Host: "shop.example.com", Backend: "host"},
		{Host: "shop.example.com", Path: "/api", Backend: "path"},
		{Host: "shop.example.com", Path: "/api", FoldCase: true, Backend: "foldedpath"},
		{TLS: true, Host: "shop.example.com", Backend: "tls"},
		{TLS: true, Host: "vault.example.com", Passthrough: true, Backend: "vault"},
		{TLS: true, Host: "*.apps.example.com", Passthrough: true, Backend: "apps"},
		{TLS: true, Host: "ended.apps.example.com", Path: "/a", Backend: "ended"},
		{TLS: true, Backend: "any"},
	}}
	for _, row := range []struct {
		name       string
		tls        bool
		host, path string
		want       string
	}{
		{"an exact host", false, "Shop.Example.com.:80", "/", "host"},
		{"a path of a host, which beats its folded twin", false, "shop.example.com", "/api/x", "path"},
		{"whole segments", false, "shop.example.com", "/apiary", "host"},
		{"case does not matter where it says so", false, "shop.example.com", "/API", "foldedpath"},
		{"an exact host beats a wildcard's path", false, "shop.example.com", "/only", "host"},
		{"a wildcard", false, "other.example.com", "/only/x", "wildpath"},
		{"a wildcard is for one label", false, "a.b.example.com", "/plain/x", "plain"},
		{"any host, in any case", false, "[::1]:8080", "/Old", "folded"},
		{"the TLS frontend has routes of its own", true, "shop.example.com", "/api", "tls"},
		{"TLS that is passed through", true, "vault.example.com", "/a", "vault"},
		{"TLS of a zone that is passed through", true, "x.apps.example.com", "/a", "apps"},
		{"but for a host whose TLS ends here", true, "ended.apps.example.com", "/a", "ended"},
		{"whatever its path", true, "ended.apps.example.com", "/b", "any"},
		{"plain HTTP is not passed through", false, "vault.example.com", "/", "wild"},
		{"nothing", false, "any", "/none", ""},
	} {
		got := ""
		if found := s.Match(Request{row.tls, row.host, row.path}); len(found) > 0 {
			got = found[0].Backend
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}
