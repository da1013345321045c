// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"slices"

	"podgate/daemon/config"
	"podgate/haproxy"
)

// reserved is a network that no pod has an address of.
type reserved struct {
	network netip.Prefix
	name    string // "a loopback address"
}

// reservedNetworks are served only if safety.networks lists them or a part of them. A
// service for metadata is in the list before the network that contains it.
var reservedNetworks = []reserved{
	{netip.MustParsePrefix("169.254.169.254/32"), metadata},
	{netip.MustParsePrefix("100.100.100.200/32"), metadata},
	{netip.MustParsePrefix("168.63.129.16/32"), metadata},
	{netip.MustParsePrefix("192.0.0.192/32"), metadata},
	{netip.MustParsePrefix("fd00:ec2::254/128"), metadata},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address"},
	{netip.MustParsePrefix("::1/128"), "a loopback address"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("0.0.0.0/8"), "an unspecified address"},
	{netip.MustParsePrefix("::/128"), "an unspecified address"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
	{netip.MustParsePrefix("255.255.255.255/32"), "the broadcast address"},
}

const metadata = "the address of a metadata service"

// embedding is a network whose addresses contain an IPv4 address, in the 4 bytes from
// offset.
type embedding struct {
	network netip.Prefix
	offset  int
}

// embeddings are the IPv6 forms of IPv4 addresses that a gateway or the system may
// translate: mapped and compatible (RFC 4291 section 2.5.5), translated (RFC 2765),
// NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056).
var embeddings = []embedding{
	{netip.MustParsePrefix("::ffff:0:0/96"), 12},
	{netip.MustParsePrefix("::/96"), 12},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12},
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
}

var localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")

// embedded returns the IPv4 addresses that an IPv6 address contains.
func embedded(a netip.Addr) []netip.Addr {
	if !a.Is6() {
		return nil
	}
	b := a.As16()
	var all []netip.Addr
	for _, e := range embeddings {
		if e.network.Contains(a) {
			all = append(all, netip.AddrFrom4([4]byte(b[e.offset:e.offset+4])))
		}
	}
	if localNAT64.Contains(a) { // with a prefix of 48 or of 96 bits (RFC 6052 section 2.2)
		for _, v4 := range []netip.Addr{netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]}), netip.AddrFrom4([4]byte(b[12:]))} {
			if !v4.IsUnspecified() { // else the address has the other prefix
				all = append(all, v4)
			}
		}
	}
	return all
}

// reservedAs returns the reserved network of an address. It reports false for an
// address that a server can have. The addresses of this machine and of the API server
// are reserved among pods alone: with node ports, they may be those of nodes, and with
// IPVS, kube-proxy gives every cluster IP to an interface of this machine.
func (in *input) reservedAs(a netip.Addr, mode config.UpstreamMode) (reserved, bool) {
	if r, ok := in.reservedItself(a, mode); ok {
		return r, true
	}
	for _, v4 := range embedded(a) {
		if r, ok := in.reservedItself(v4, mode); ok && !(a.IsLoopback() || a.IsUnspecified()) {
			return reserved{netip.PrefixFrom(a, a.BitLen()), fmt.Sprintf("an IPv6 form of %s, %s", v4, r.name)}, true
		}
	}
	return reserved{}, false
}

func (in *input) reservedItself(a netip.Addr, mode config.UpstreamMode) (reserved, bool) {
	if i := slices.IndexFunc(reservedNetworks, func(r reserved) bool { return r.network.Contains(a) }); i >= 0 {
		return reservedNetworks[i], true
	}
	host := netip.PrefixFrom(a, a.BitLen())
	switch {
	case mode != config.UpstreamPod:
		return reserved{}, false
	case slices.Contains(in.apiServers, a):
		return reserved{host, "the address of the API server"}, true
	case slices.Contains(in.addresses, a):
		return reserved{host, "an address of this machine"}, true
	}
	return reserved{}, false
}

// notInNetworks is the result of whyNoServer for an ordinary address.
const notInNetworks = "is not in safety.networks of podgate.toml"

// whyNoServer returns why podgate.toml does not allow a server, with its address as the
// subject: "is a loopback address"; "" if it does.
func (in *input) whyNoServer(addr netip.AddrPort, mode config.UpstreamMode) string {
	a, networks := addr.Addr(), in.Safety.Networks
	listed := func(least int) bool {
		return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) && n.Bits() >= least })
	}
	if why := in.leadsBack(addr, mode); why != "" {
		return why
	}
	if r, ok := in.reservedAs(a, mode); ok && !listed(r.network.Bits()) {
		return fmt.Sprintf("is %s (safety.networks in podgate.toml can list %s)", r.name, r.network)
	}
	if len(networks) > 0 && !listed(0) {
		return notInNetworks
	}
	return ""
}

// removeUnallowed removes the servers that podgate.toml does not allow, and returns
// the reasons with the number of servers and the first address of each.
func removeUnallowed(in *input, c claim, servers []haproxy.Server) ([]haproxy.Server, []string) {
	type refusal struct {
		why   string
		count int
		first netip.AddrPort
	}
	var refusals []refusal
	var allowed []haproxy.Server
	for i, s := range servers {
		why := in.whyNoEndpoint(c, s.Addr)
		if why == "" {
			if refusals != nil {
				allowed = append(allowed, s)
			}
			continue
		}
		if refusals == nil {
			allowed = slices.Clone(servers[:i])
		}
		j := slices.IndexFunc(refusals, func(r refusal) bool { return r.why == why })
		if j < 0 {
			j = len(refusals)
			refusals = append(refusals, refusal{why, 0, s.Addr})
		}
		refusals[j].count++
	}
	if refusals == nil {
		return servers, nil
	}
	var texts []string
	for _, r := range refusals {
		text := fmt.Sprintf("%d endpoints are not served: %s %s", r.count, r.first, r.why)
		if r.why == notInNetworks {
			text = fmt.Sprintf("%d endpoints are not served: safety.networks in podgate.toml does not contain their addresses (%s)", r.count, r.first)
		}
		texts = append(texts, text)
	}
	return allowed, texts
}
