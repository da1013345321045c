// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"net/netip"
	"slices"

	"podgate/daemon/config"
)

// Machine is what Compile has to know about the machine that HAProxy runs on. It is
// immutable. Nil is a machine of which nothing is known.
type Machine struct {
	Files      *TLSFiles    // may be nil for none
	Addresses  []netip.Addr // of its interfaces
	APIServers []netip.Addr // of the cluster, as podgate reaches them
	Sections   []Section    // of the operator's own files of HAProxy, sorted by Name
	Binds      []Bind       // of these files
}

// Bind is an address on which HAProxy listens because of a file of the operator.
type Bind struct {
	File  string
	Addr  netip.Addr // "0.0.0.0" and "::" are every address of their family
	Ports config.PortRange
}

// Section is a section with a name in a file of the operator.
type Section struct {
	Kind string // "backend"
	Name string
	File string
}

// section returns a section of that name.
func (m *Machine) section(name string) (Section, bool) {
	if m == nil {
		return Section{}, false
	}
	i, ok := slices.BinarySearchFunc(m.Sections, name, func(s Section, n string) int { return cmp.Compare(s.Name, n) })
	if !ok {
		return Section{}, false
	}
	return m.Sections[i], true
}

// backend returns a section of that name whose name no other backend can have.
func (m *Machine) backend(name string) (Section, bool) {
	if m == nil {
		return Section{}, false
	}
	i := slices.IndexFunc(m.Sections, func(s Section) bool { return s.Name == name && (s.Kind == "backend" || s.Kind == "listen") })
	if i < 0 {
		return Section{}, false
	}
	return m.Sections[i], true
}
