// SPDX-License-Identifier: Apache-2.0

package config

// Upstream is what the servers of a backend are unless the Service sets it.
type Upstream struct {
	Mode UpstreamMode
}

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
	}
}
