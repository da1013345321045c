// SPDX-License-Identifier: Apache-2.0

package config

// Upstream is what the servers of a backend are unless the Service sets it.
type Upstream struct {
	Mode     UpstreamMode
	IPFamily IPFamily
}

// IPFamily is the address family by which podgate reaches the pods and nodes of a
// Service that has both.
type IPFamily string

// The families: the first of the Service's ipFamilies, or always the same one.
const (
	IPFamilyService IPFamily = "service"
	IPFamilyIPv4    IPFamily = "ipv4"
	IPFamilyIPv6    IPFamily = "ipv6"
)

// UpstreamMode is what the servers of a backend are.
type UpstreamMode string

// The modes: pods by their own addresses, nodes by the Service's node port, or
// the Service's cluster IP.
const (
	UpstreamPod       UpstreamMode = "pod"
	UpstreamNodePort  UpstreamMode = "nodeport"
	UpstreamClusterIP UpstreamMode = "clusterip"
)

// UpstreamModes lists the modes in the order of the manual.
func UpstreamModes() []UpstreamMode {
	return []UpstreamMode{UpstreamPod, UpstreamNodePort, UpstreamClusterIP}
}

func (u *Upstream) keys() []key {
	return []key{
		{"upstream", "mode", choice(&u.Mode, UpstreamModes()...), immediately,
			"What the servers of a backend are: the pods, the Service's node port on the nodes of the cluster, or its cluster IP."},
		{"upstream", "ip_family", choice(&u.IPFamily, IPFamilyService, IPFamilyIPv4, IPFamilyIPv6), immediately,
			"Address family of the servers of a dual-stack Service. \"service\" is the first of the Service's ipFamilies."},
	}
}
