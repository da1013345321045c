// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"net/netip"
	"slices"

	"podgate/daemon/config"
	"podgate/haproxy"
)

// BeforeCluster is what HAProxy should serve before the cluster is known: health
// checks, which it fails.
func BeforeCluster(cfg *config.Config) haproxy.State {
	return haproxy.State{Settings: settings(cfg), Frontends: healthFrontends(cfg)}
}

// healthFrontends answer the load balancer. They are sorted by Name.
func healthFrontends(cfg *config.Config) []haproxy.Frontend {
	var frontends []haproxy.Frontend
	add := func(name string, binds []netip.AddrPort, proxy bool) {
		if len(binds) == 0 {
			return
		}
		binds = slices.SortedFunc(slices.Values(binds), netip.AddrPort.Compare)
		health := &haproxy.Health{Path: cfg.Cloud.HealthPath, Sources: cfg.Cloud.HealthSources, Proxy: proxy}
		frontends = append(frontends, haproxy.Frontend{Name: reservedName + "_" + name, Mode: haproxy.HTTP, Binds: binds, Health: health})
	}
	add("health", cfg.Cloud.HealthBinds, false)
	add("health_proxy", cfg.Cloud.HealthProxyBinds, true)
	return frontends
}
