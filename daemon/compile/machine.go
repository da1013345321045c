// SPDX-License-Identifier: Apache-2.0

package compile

import "net/netip"

// Machine is what Compile has to know about the machine that HAProxy runs on. It is
// immutable. Nil is a machine of which nothing is known.
type Machine struct {
	Files      *TLSFiles    // may be nil for none
	Addresses  []netip.Addr // of its interfaces
	APIServers []netip.Addr // of the cluster, as podgate reaches them
}
