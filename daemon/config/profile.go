// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"podgate/haproxy"
)

// Profile names a load balancer in front. It stands for values of other keys,
// which the file may set otherwise; "podgate check --print" shows them.
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

// Profiles lists the profiles in the order in which they are told to users.
func Profiles() []Profile {
	return []Profile{NoProfile, AWSNLB, AWSALB, GCPPassthrough, GCPProxy, GCPALB, AzureLB, OCINLB, OCILB, DigitalOcean, Hetzner}
}

// The ports of the health frontends with any profile.
const (
	healthPort      = 10880
	healthProxyPort = 10881
)

// underIdle is when TCP probes a silent client, where a load balancer forgets
// connections that are silent for longer: 240 s is the least of theirs.
const underIdle = 2 * time.Minute

// apply sets what p stands for. Where the vendor has no fixed addresses, sources
// are left to the file. DrainWait is the vendor's default interval between checks
// times its default threshold, and some more.
func (p Profile) apply(c *Config) {
	if p == NoProfile {
		return
	}
	cloud := &c.Cloud
	cloud.Profile = p
	cloud.HealthBinds = everyIPv4(healthPort)
	switch p {
	case AWSNLB:
		// Checks come from the NLB's own addresses, with the PROXY header where the
		// target group has it; clients' addresses are preserved, or else told by
		// PROXY v2: docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html
		// Idle for 350 s: .../network/update-idle-timeout.html
		cloud.HealthProxyBinds = everyIPv4(healthProxyPort)
		cloud.TCPKeepAlive = underIdle
		cloud.DrainWait = 90 * time.Second
	case AWSALB:
		// Idle for 60 s, and the target is to wait longer:
		// docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
		// It appends the client: .../application/x-forwarded-headers.html
		cloud.ForwardedHops = 1
		c.Defaults.TimeoutKeepAlive = 75 * time.Second
		cloud.DrainWait = 75 * time.Second
	case GCPPassthrough:
		cloud.HealthSources = googleProbes()
		cloud.DrainWait = 20 * time.Second
	case GCPProxy:
		// Clients by PROXY v1, from where checks come too:
		// cloud.google.com/load-balancing/docs/tcp/setting-up-tcp#proxy-protocol
		// cloud.google.com/load-balancing/docs/firewall-rules
		cloud.HealthSources, cloud.TrustedSources = googleSources(), googleSources()
		cloud.HealthProxyBinds = everyIPv4(healthProxyPort)
		cloud.Proxy = []string{ProxyHTTP, ProxyHTTPS, ProxyTCP}
		cloud.TCPKeepAlive = underIdle
		cloud.DrainWait = 20 * time.Second
	case GCPALB:
		// X-Forwarded-For ends in the client and the load balancer itself, and the
		// connection is kept for 600 s, which a backend is to outlast:
		// cloud.google.com/load-balancing/docs/https#x-forwarded-for_header
		// cloud.google.com/load-balancing/docs/https#timeouts_and_retries
		cloud.HealthSources, cloud.TrustedSources = googleSources(), googleSources()
		cloud.ForwardedHops = 2
		c.Defaults.TimeoutKeepAlive = 620 * time.Second
		cloud.DrainWait = 20 * time.Second
	case AzureLB:
		// Probes come from one address, and 200 alone is up:
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
		// It keeps a connection for 300 s, and a backend is to wait for 310 s at
		// least: docs.oracle.com/iaas/Content/Balance/Reference/connectionreuse.htm
		// It appends the client: docs.oracle.com/iaas/Content/Balance/Reference/httpheaders.htm
		cloud.ForwardedHops = 1
		c.Defaults.TimeoutKeepAlive = 320 * time.Second
		cloud.DrainWait = 45 * time.Second
	case DigitalOcean:
		// PROXY v1 where it is turned on, for checks as well:
		// docs.digitalocean.com/products/networking/load-balancers/how-to/manage/
		// Idle for 60 s unless it is told otherwise, and we wait longer:
		// docs.digitalocean.com/products/networking/load-balancers/support/
		c.Defaults.TimeoutKeepAlive = 75 * time.Second
		cloud.HealthProxyBinds = everyIPv4(healthProxyPort)
		cloud.DrainWait = 40 * time.Second
	case Hetzner:
		// PROXY where it is turned on; checked every 15 s, and down after three
		// retries: docs.hetzner.cloud/#load-balancers
		cloud.HealthProxyBinds = everyIPv4(healthProxyPort)
		cloud.DrainWait = time.Minute
	}
}

// googleSources are where Google's front ends come from, and the probes of the
// load balancers that they are
// (cloud.google.com/load-balancing/docs/firewall-rules).
func googleSources() []netip.Prefix {
	return networks("35.191.0.0/16", "130.211.0.0/22", "2600:2d00:1:1::/64", "2600:2d00:1:b029::/64")
}

// googleProbes are where the probes of passthrough load balancers come from: the
// external ones have others than the internal ones
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

// profile is a field of a Profile, which may be none.
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

// profile returns the one that the file names; what is wrong with it is told
// when its section is read.
func (d *document) profile() Profile {
	section, _ := d.tree["cloud"].(map[string]any)
	name, _ := section["profile"].(string)
	if !slices.Contains(Profiles(), Profile(name)) {
		return NoProfile
	}
	return Profile(name)
}
