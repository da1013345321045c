// SPDX-License-Identifier: Apache-2.0

package wire

import "net/netip"

// excludeLabel keeps a node out of load balancers, whatever its value
// (Kubernetes "Well-Known Labels, Annotations and Taints").
const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"

// Node is what podgate reads of a core/v1 Node. It is never changed after it was
// decoded.
type Node struct {
	Name            string
	ResourceVersion string
	Addr            netip.Addr     // its first InternalIP; invalid without one
	Ready           bool           // condition Ready is True
	PodCIDRs        []netip.Prefix // spec.podCIDRs, which not every network goes by
	Excluded        bool           // it is to be kept out of load balancers
}

// ObjectKey returns the key of a Node, which is in no namespace.
func (n *Node) ObjectKey() Key { return Key{Name: n.Name} }

// Version returns ResourceVersion.
func (n *Node) Version() string { return n.ResourceVersion }

type wireNode struct {
	Metadata struct {
		Name            string            `json:"name"`
		ResourceVersion string            `json:"resourceVersion"`
		Labels          map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		PodCIDRs []string `json:"podCIDRs"`
	} `json:"spec"`
	Status struct {
		Addresses  []wireTyped `json:"addresses"`
		Conditions []wireTyped `json:"conditions"`
	} `json:"status"`
}

// wireTyped is an address or a condition of a Node.
type wireTyped struct {
	Type    string `json:"type"`
	Address string `json:"address"`
	Status  string `json:"status"`
}

func (w *wireNode) key() Key { return Key{Name: w.Metadata.Name} }

func (w *wireNode) node() *Node {
	n := &Node{Name: w.Metadata.Name, ResourceVersion: w.Metadata.ResourceVersion}
	_, n.Excluded = w.Metadata.Labels[excludeLabel]
	for _, cidr := range w.Spec.PodCIDRs {
		n.podCIDR(cidr)
	}
	for _, a := range w.Status.Addresses {
		n.address(a.Type, a.Address)
	}
	for _, c := range w.Status.Conditions {
		n.condition(c.Type, c.Status)
	}
	return n
}

func (n *Node) address(kind, text string) {
	if addr, err := netip.ParseAddr(text); kind == "InternalIP" && err == nil && !n.Addr.IsValid() {
		n.Addr = addr.Unmap()
	}
}

func (n *Node) podCIDR(text string) {
	if cidr, err := netip.ParsePrefix(text); err == nil {
		n.PodCIDRs = append(n.PodCIDRs, cidr)
	}
}

func (n *Node) condition(kind, status string) {
	if kind == "Ready" {
		n.Ready = status == "True"
	}
}

// node reads a core/v1 Node.
func (d *protoDecoder) node(b []byte) (*Node, error) {
	n := &Node{}
	m := message{rest: b}
	for m.next() {
		var err error
		switch m.num {
		case 1:
			err = d.meta.read(m.bytes)
		case 2:
			err = nodeSpec(m.bytes, n)
		case 3:
			err = nodeStatus(m.bytes, n)
		}
		if err != nil {
			return nil, err
		}
	}
	n.Name = string(d.meta.name)
	n.ResourceVersion = string(d.meta.version)
	n.Excluded = d.meta.excluded
	return n, m.err
}

func nodeSpec(b []byte, n *Node) error {
	m := message{rest: b}
	for m.next() {
		if m.num == 7 {
			n.podCIDR(string(m.bytes))
		}
	}
	return m.err
}

func nodeStatus(b []byte, n *Node) error {
	m := message{rest: b}
	for m.next() {
		if m.num != 4 && m.num != 5 {
			continue
		}
		entry, err := readEntry(m.bytes) // type and address, or type and status
		if err != nil {
			return err
		}
		if m.num == 4 {
			n.condition(string(entry.key), string(entry.value))
		} else {
			n.address(string(entry.key), string(entry.value))
		}
	}
	return m.err
}
