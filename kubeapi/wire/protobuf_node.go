// SPDX-License-Identifier: Apache-2.0

package wire

// node reads a core/v1 Node.
func (d *protoDecoder) node(m message) *Node {
	n := &Node{}
	for m.next() {
		switch m.num {
		case 1:
			d.meta.read(m.inner())
		case 2:
			nodeSpec(m.inner(), n)
		case 3:
			nodeStatus(m.inner(), n)
		}
	}
	n.Name = string(d.meta.name)
	n.ResourceVersion = string(d.meta.version)
	n.Excluded = d.meta.excluded
	return n
}

func nodeSpec(m message, n *Node) {
	for m.next() {
		if m.num == 7 {
			n.addPodCIDR(string(m.bytes))
		}
	}
}

func nodeStatus(m message, n *Node) {
	for m.next() {
		switch m.num {
		case 4:
			condition := readEntry(m.inner()) // of type and status
			n.addCondition(string(condition.key), string(condition.value))
		case 5:
			address := readEntry(m.inner()) // of type and address
			n.addAddress(string(address.key), string(address.value))
		}
	}
}
