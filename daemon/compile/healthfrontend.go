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

// expectProxy marks the frontends that take PROXY headers. All binds of a TCP
// frontend have one port.
func expectProxy(cfg *config.Config, frontends []haproxy.Frontend) {
	for i := range frontends {
		f := &frontends[i]
		name, port := config.ProxyTCP, f.Binds[0].Port()
		switch f.Name {
		case reservedName + "_http":
			name = config.ProxyHTTP
		case reservedName + "_https":
			name = config.ProxyHTTPS
		}
		f.ExpectProxy = cfg.Cloud.ExpectsProxy(name, port)
	}
}
