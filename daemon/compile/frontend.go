// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"podgate/daemon/config"
	"podgate/haproxy"
)

// reservedName is the prefix of the names of podgate's frontends and sections.
const reservedName = "podgate"

// The frontends that routes lead from.
const (
	HTTPFrontend  = reservedName + "_http"
	HTTPSFrontend = reservedName + "_https"
)

// BeforeCluster is what HAProxy should serve before the cluster is known: the
// health checks, which fail.
func BeforeCluster(cfg *config.Config) haproxy.State {
	return haproxy.State{Settings: settings(cfg), Frontends: healthFrontends(cfg), SpareBackends: cfg.HAProxy.SpareBackends}
}

// frontends returns the frontends of podgate.toml and those of TCP ports, sorted
// by Name.
func frontends(in *input, tcp []haproxy.Frontend, routes []haproxy.Route) []haproxy.Frontend {
	all := tcp
	if len(in.HTTP.Binds) > 0 {
		all = append(all, haproxy.Frontend{Name: HTTPFrontend, Mode: haproxy.HTTP, Binds: sorted(in.HTTP.Binds), Relay: in.HTTP.Relay})
	}
	if endsTLS(in) {
		all = append(all, httpsFrontend(in, routes))
	}
	for i, f := range all { // all binds of a TCP frontend have one port
		name := map[string]string{HTTPFrontend: config.ProxyHTTP, HTTPSFrontend: config.ProxyHTTPS}[f.Name]
		all[i].ExpectProxy = in.Cloud.ExpectsProxy(cmp.Or(name, config.ProxyTCP), f.Binds[0].Port())
	}
	all = append(all, healthFrontends(in.Config)...)
	if st := in.Stats; len(st.Binds) > 0 {
		all = append(all, haproxy.Frontend{
			Name: reservedName + "_stats", Mode: haproxy.HTTP, Binds: sorted(st.Binds), Stats: &haproxy.Stats{Sources: st.Sources, Metrics: st.Metrics},
		})
	}
	slices.SortFunc(all, func(a, b haproxy.Frontend) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// healthFrontends returns the frontends for the health checks of the load
// balancer, sorted by Name.
func healthFrontends(cfg *config.Config) []haproxy.Frontend {
	var frontends []haproxy.Frontend
	add := func(name string, binds []netip.AddrPort, proxy bool) {
		if len(binds) > 0 {
			health := &haproxy.Health{Path: cfg.Cloud.HealthPath, Sources: cfg.Cloud.HealthSources, Proxy: proxy}
			frontends = append(frontends, haproxy.Frontend{Name: reservedName + name, Mode: haproxy.HTTP, Binds: sorted(binds), Health: health})
		}
	}
	add("_health", cfg.Cloud.HealthBinds, false)
	add("_health_proxy", cfg.Cloud.HealthProxyBinds, true)
	return frontends
}

func tcpFrontend(in *input, port uint16, backend string, sec secure) haproxy.Frontend {
	binds := make([]netip.AddrPort, len(in.TCP.Addresses))
	for i, addr := range in.TCP.Addresses {
		binds[i] = netip.AddrPortFrom(addr, port)
	}
	f := haproxy.Frontend{Name: fmt.Sprintf("%s_tcp_%d", reservedName, port), Mode: haproxy.TCP, Binds: sorted(binds), Backend: backend}
	if sec.sslTerm {
		f.TLS = termination(in)
		f.TLS.ALPN = "" // the application protocol is not known
	}
	return f
}

func httpsFrontend(in *input, routes []haproxy.Route) haproxy.Frontend {
	f := haproxy.Frontend{Name: HTTPSFrontend, Mode: haproxy.HTTP, Binds: sorted(in.HTTPS.Binds), TLS: termination(in)}
	if in.HTTPS.ClientCA == "" { // the relay cannot hand over a client's certificate
		f.Relay = in.HTTPS.Relay
	}
	if slices.ContainsFunc(routes, func(r haproxy.Route) bool { return r.Passthrough }) {
		f.TLSLoopback = in.HTTPS.Inner
	}
	return f
}

// endsTLS reports whether there is a TLS frontend: not if clients must be verified
// and the CA certificates cannot be read.
func endsTLS(in *input) bool {
	return len(in.HTTPS.Binds) > 0 && (in.HTTPS.ClientCA == "" || in.files.ClientCA != "")
}

// termination returns the TLS settings of podgate.toml.
func termination(in *input) haproxy.Termination {
	h := in.HTTPS
	t := haproxy.Termination{
		MinVersion:   h.MinVersion,
		Ciphers:      h.Ciphers,
		CipherSuites: h.CipherSuites,
		ALPN:         strings.Join(h.ALPN, ","),
		Default:      in.files.Default,
	}
	if h.ClientCA != "" {
		t.ClientCA, t.ClientVerify = in.files.ClientCA, haproxy.Verify(h.ClientCertificate)
	}
	return t
}

func sorted(binds []netip.AddrPort) []netip.AddrPort {
	return slices.SortedFunc(slices.Values(binds), netip.AddrPort.Compare)
}
