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
		{"a case-sensitive path beats the same path with FoldCase", false, "shop.example.com", "/api/x", "path"},
		{"OPTIONS * has no path", false, "shop.example.com", "", "host"},
		{"OPTIONS * does not match a route with a path", false, "any", "", ""},
		{"a path matches whole segments", false, "shop.example.com", "/apiary", "host"},
		{"a path with FoldCase matches in any case", false, "shop.example.com", "/API", "foldedpath"},
		{"an exact host beats a wildcard's path", false, "shop.example.com", "/only", "host"},
		{"a wildcard", false, "other.example.com", "/only/x", "wildpath"},
		{"a wildcard matches one label", false, "a.b.example.com", "/plain/x", "plain"},
		{"every host, with FoldCase", false, "[::1]:8080", "/Old", "folded"},
		{"the TLS frontend has its own routes", true, "shop.example.com", "/api", "tls"},
		{"TLS of a host is passed through", true, "vault.example.com", "/a", "vault"},
		{"TLS of a zone is passed through", true, "x.apps.example.com", "/a", "apps"},
		{"a host with a TLS route is not passed through with its zone", true, "ended.apps.example.com", "/a", "ended"},
		{"a host with a TLS route is not passed through for other paths", true, "ended.apps.example.com", "/b", "any"},
		{"plain HTTP is not passed through", false, "vault.example.com", "/", "wild"},
		{"no route matches", false, "any", "/none", ""},
	} {
		got := ""
		if found := s.Match(Request{TLS: row.tls, Host: row.host, Path: row.path}); len(found) > 0 {
			got = found[0].Backend
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}
