// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"net/netip"
	"testing"
)

func FuzzServerName(f *testing.F) {
	for _, name := range []string{"10.2.9.103:8080", "2001:db8::1:80", "::ffff:10.0.0.1:80", "[::1]:80", "10.0.0.1:080", ":80", "a:80", "fe80::1%eth0:80", "10.0.0.1:65536"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		addr, ok := ParseServerName(name)
		if !ok {
			return
		}
		if ServerName(addr) != name {
			t.Errorf("%q is the name of %s, whose name is %q", name, addr, ServerName(addr))
		}
		if id := ServerID(addr, 0); id < 1 {
			t.Errorf("%q has id %d", name, id)
		}
		if again, err := netip.ParseAddrPort(addr.String()); err != nil || again != addr {
			t.Errorf("%q is %s, which is parsed as %s, %v", name, addr, again, err)
		}
	})
}

func FuzzMapEntry(f *testing.F) {
	f.Add("a.example.com/x/", "shop_cart_80|20002|/x|/new")
	f.Add("*/", "b|0")
	f.Add("/", "|")
	f.Add("x//", "a|1|/")
	f.Fuzz(func(t *testing.T, key, value string) {
		for _, name := range MapNames() {
			for _, r := range ParseRoutes([]Map{{name, []MapEntry{{key, value}}}}) {
				again := ParseRoutes([]Map{{r.routesMap(), []MapEntry{r.entry()}}})
				if len(again) != 1 || again[0].Compare(r) != 0 || again[0].Backend != r.Backend {
					t.Errorf("%q %q is parsed as %v, and the entry of that as %v", key, value, r, again)
				}
			}
		}
	})
}
