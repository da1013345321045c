// SPDX-License-Identifier: Apache-2.0

package config

import (
	"log/slog"
	"net/netip"
	"time"

	"podgate/haproxy"
)

// Default returns the defaults of all keys. It is not valid on its own: the file
// must set kubernetes.kubeconfig or kubernetes.server.
func Default() *Config {
	return &Config{
		Kubernetes: Kubernetes{
			Namespaces:     []string{"default"},
			Expose:         ExposeAll,
			Watch:          true,
			PollInterval:   5 * time.Second,
			ResyncInterval: 10 * time.Minute,
			MaxSize:        256 * MB,
		},
		HAProxy: HAProxy{
			Folder:           "/var/lib/podgate/haproxy",
			AdminSocket:      "/run/haproxy/admin.sock",
			MasterSocket:     "/run/haproxy/master.sock",
			Binary:           "/usr/sbin/haproxy",
			Files:            []string{"/etc/haproxy/haproxy.cfg"},
			ErrorFolder:      "/etc/haproxy/errors",
			ReloadInterval:   30 * time.Second,
			HardStopAfter:    time.Hour,
			MaxWorkerReloads: 20,
			SpareBackends:    16,
			AccessLog:        haproxy.HTTPLog,
		},
		HTTP: HTTP{
			Binds:         []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), 80)},
			DefaultStatus: 404,

			AmbiguousPaths: PassAmbiguous,
			Relay:          netip.MustParseAddrPort("127.0.0.1:10801"),
		},
		HTTPS: defaultHTTPS(),
		TCP: TCP{
			Addresses: []netip.Addr{netip.IPv4Unspecified()},
		},
		Defaults: Defaults{
			Algorithm:          haproxy.RoundRobin,
			Check:              true,
			CheckInterval:      5 * time.Second,
			Cookie:             "SERVERID",
			CookieKey:          "podgate",
			TimeoutClient:      50 * time.Second,
			TimeoutServer:      50 * time.Second,
			TimeoutConnect:     5 * time.Second,
			TimeoutQueue:       50 * time.Second,
			TimeoutHTTPRequest: 10 * time.Second,
			TimeoutKeepAlive:   60 * time.Second,
			TimeoutTunnel:      time.Hour,
		},
		Safety: Safety{
			MaxRemoval: 50,
			FromCount:  10,
			HoldTime:   5 * time.Minute,

			MaxBackends:  10_000,
			MaxRoutes:    50_000,
			MaxEndpoints: 5_000,

			MaxConditionalRoutes:      500,
			MaxTotalConditionalRoutes: 2_000,

			MaxServers:        100_000,
			MaxServiceServers: 10_000,
			MaxReloadTime:     5 * time.Second,
			MaxSize:           16 * MB,
			MaxServiceSize:    2 * MB,

			HostOwnership: OwnedByNamespace,
		},
		Upstream: Upstream{Mode: UpstreamPod, IPFamily: IPFamilyService},
		Cloud: Cloud{
			HealthPath:   "/healthz",
			DrainWait:    30 * time.Second,
			DrainTimeout: 5 * time.Minute,
		},
		Admin: Admin{
			Listen:  []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9180")},
			Socket:  "/run/podgate/podgate.sock",
			History: "/var/lib/podgate/history.json",
		},
		Stats: Stats{Metrics: true},
		Log: Log{
			Level:  slog.LevelInfo,
			Format: LogText,
		},
	}
}
