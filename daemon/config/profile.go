// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"podgate/haproxy"
)

// Profile is a type of load balancer. It sets other keys, which the file can
// override; "podgate check --print" shows the values.
type Profile string

// The profiles. NoProfile sets nothing.
const (
	NoProfile      Profile = ""
	AWSNLB         Profile = "aws-nlb"
	AWSALB         Profile = "aws-alb"
	GCPPassthrough Profile = "gcp-passthrough"
	GCPProxy       Profile = "gcp-proxy"
	GCPALB         Profile = "gcp-alb"
	AzureLB        Profile = "azure-lb"
	OCINLB         Profile = "oci-nlb"
	OCILB          Profile = "oci-lb"
	DigitalOcean   Profile = "digitalocean"
	Hetzner        Profile = "hetzner"
)

// Profiles lists the profiles in the order of the manual.
func Profiles() []Profile {
	return []Profile{NoProfile, AWSNLB, AWSALB, GCPPassthrough, GCPProxy, GCPALB, AzureLB, OCINLB, OCILB, DigitalOcean, Hetzner}
}

// The ports of the health frontends with any profile.
const (
	healthPort      = 10880
	healthProxyPort = 10881
)

// underIdle is the TCP keep-alive time for load balancers that forget idle
// connections: the shortest of their timeouts is 240 s.
const underIdle = 2 * time.Minute

// apply sets the keys of p. It sets no sources for vendors without fixed addresses.
// DrainWait is somewhat more than the vendor's default check interval times its
// default threshold.
func (p Profile) apply(c *Config) {
	if p == NoProfile {
		return
	}
	cloud := &c.Cloud
	cloud.Profile = p
	cloud.HealthBinds = everyIPv4(healthPort)
	switch p {
	case AWSNLB:
		// Checks come from the NLB's own addresses, with a PROXY header if the target
		// group has it enabled; clients' addresses are preserved, or sent by PROXY v2:
		// docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html
		// Idle for 350 s: .../network/update-idle-timeout.html
		cloud.HealthProxyBinds = everyIPv4(healthProxyPort)
		cloud.TCPKeepAlive = underIdle
		cloud.DrainWait = 90 * time.Second
	case AWSALB:
		// Idle timeout 60 s, and the target must wait longer:
		// docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
		// It appends the client: .../application/x-forwarded-headers.html
		cloud.ForwardedHops = 1
		c.Defaults.TimeoutKeepAlive = 75 * time.Second
		cloud.DrainWait = 75 * time.Second
	case GCPPassthrough:
		cloud.HealthSources = googleProbes()
		cloud.DrainWait = 20 * time.Second
	case GCPProxy:
		// PROXY v1, from the addresses that checks come from too:
		// cloud.google.com/load-balancing/docs/tcp/setting-up-tcp#proxy-protocol
		// cloud.google.com/load-balancing/docs/firewall-rules
		cloud.HealthSources, cloud.TrustedSources = googleSources(), googleSources()
		cloud.HealthProxyBinds = everyIPv4(healthProxyPort)
		cloud.Proxy = []string{ProxyHTTP, ProxyHTTPS, ProxyTCP}
		cloud.TCPKeepAlive = underIdle
		cloud.DrainWait = 20 * time.Second
	case GCPALB:
		// X-Forwarded-For ends in the client and the load balancer itself. Connections
		// are kept for 600 s, and the backend must wait longer:
		// cloud.google.com/load-balancing/docs/https#x-forwarded-for_header
		// cloud.google.com/load-balancing/docs/https#timeouts_and_retries
		cloud.HealthSources, cloud.TrustedSources = googleSources(), googleSources()
		cloud.ForwardedHops = 2
		c.Defaults.TimeoutKeepAlive = 620 * time.Second
		cloud.DrainWait = 20 * time.Second
	case AzureLB:
		// Probes come from one address; only 200 is healthy:
		// learn.microsoft.com/azure/load-balancer/load-balancer-custom-probe-overview
		// Idle for 4 minutes: learn.microsoft.com/azure/load-balancer/load-balancer-tcp-reset
		cloud.HealthSources = networks("168.63.129.16/32")
		cloud.TCPKeepAlive = underIdle
		cloud.DrainWait = 40 * time.Second
	case OCINLB:
		// Clients preserved, or PROXY v2; idle for 360 s:
		// docs.oracle.com/iaas/Content/NetworkLoadBalancer/NetworkLoadBalancers/network-load-balancer-management.htm
		// docs.oracle.com/iaas/Content/NetworkLoadBalancer/NetworkLoadBalancers/configure-idle-timeout.htm
		cloud.HealthProxyBinds = everyIPv4(healthProxyPort)
		cloud.TCPKeepAlive = underIdle
		cloud.DrainWait = 45 * time.Second
	case OCILB:
		// Connections are kept for 300 s, and the backend must wait for 310 s at least:
		// docs.oracle.com/iaas/Content/Balance/Reference/connectionreuse.htm
		// It appends the client: docs.oracle.com/iaas/Content/Balance/Reference/httpheaders.htm
		cloud.ForwardedHops = 1
		c.Defaults.TimeoutKeepAlive = 320 * time.Second
		cloud.DrainWait = 45 * time.Second
	case DigitalOcean:
		// PROXY v1 if it is enabled, for checks as well:
		// docs.digitalocean.com/products/networking/load-balancers/how-to/manage/
		// Idle timeout 60 s by default, and podgate waits longer:
		// docs.digitalocean.com/products/networking/load-balancers/support/
		c.Defaults.TimeoutKeepAlive = 75 * time.Second
		cloud.HealthProxyBinds = everyIPv4(healthProxyPort)
		cloud.DrainWait = 40 * time.Second
	case Hetzner:
		// PROXY if it is enabled; checked every 15 s, down after three retries:
		// docs.hetzner.cloud/#load-balancers
		cloud.HealthProxyBinds = everyIPv4(healthProxyPort)
		cloud.DrainWait = time.Minute
	}
}

// googleSources are the addresses of Google's front ends and of their probes
// (cloud.google.com/load-balancing/docs/firewall-rules).
func googleSources() []netip.Prefix {
	return networks("35.191.0.0/16", "130.211.0.0/22", "2600:2d00:1:1::/64", "2600:2d00:1:b029::/64")
}

// googleProbes are the addresses of the probes of passthrough load balancers, of
// external and internal ones
// (cloud.google.com/load-balancing/docs/health-check-concepts#ip-ranges).
func googleProbes() []netip.Prefix {
	external := networks("35.191.0.0/16", "209.85.152.0/22", "209.85.204.0/22", "2600:1901:8001::/48")
	internal := networks("35.191.0.0/16", "130.211.0.0/22", "2600:2d00:1:b029::/64")
	all := slices.Concat(external, internal)
	slices.SortFunc(all, haproxy.CompareNetworks)
	return slices.Compact(all)
}

func networks(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		list[i] = netip.MustParsePrefix(t)
	}
	slices.SortFunc(list, haproxy.CompareNetworks)
	return list
}

func everyIPv4(port uint16) []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), port)}
}

// profile is a field of a Profile, or "".
func profile(p *Profile) field {
	var names []string
	for _, name := range Profiles()[1:] {
		names = append(names, string(name))
	}
	parse := func(s string) (Profile, error) {
		if s == string(NoProfile) {
			return NoProfile, nil
		}
		return Profile(s), checkChoice(s, names)
	}
	return scalar(p, "empty, or "+strings.Join(names, ", "), fromString(parse), quote)
}

// profile returns the profile of the file. An invalid one is rejected later, with
// its section.
func (d *document) profile() Profile {
	section, _ := d.tree["cloud"].(map[string]any)
	name, _ := section["profile"].(string)
	if !slices.Contains(Profiles(), Profile(name)) {
		return NoProfile
	}
	return Profile(name)
}
