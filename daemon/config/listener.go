// SPDX-License-Identifier: Apache-2.0

package config

import "net/netip"

// Listener is an address on which HAProxy listens because of a key.
type Listener struct {
	Key  string // "http.bind"
	Addr netip.AddrPort
}

func (l Listener) String() string { return l.Key + " " + printBind(l.Addr) }

// Listeners returns the addresses of all frontends that do not belong to a Service.
func (c *Config) Listeners() (all []Listener) {
	add := func(key string, addrs ...netip.AddrPort) {
		for _, addr := range addrs {
			if addr.IsValid() {
				all = append(all, Listener{key, addr})
			}
		}
	}
	add("http.bind", c.HTTP.Binds...)
	add("http.relay", c.HTTP.Relay)
	add("https.bind", c.HTTPS.Binds...)
	if len(c.HTTPS.Binds) > 0 {
		add("https.relay", c.HTTPS.Relay)
		add("https.inner", c.HTTPS.Inner)
	}
	add("cloud.health_bind", c.Cloud.HealthBinds...)
	add("cloud.health_proxy_bind", c.Cloud.HealthProxyBinds...)
	add("stats.bind", c.Stats.Binds...)
	return all
}
