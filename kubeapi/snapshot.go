// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"slices"
	"time"

	"podgate/kubeapi/wire"
)

// The types of objects are defined with their decoders.
type (
	Key           = wire.Key
	Service       = wire.Service
	ServicePort   = wire.ServicePort
	EndpointSlice = wire.EndpointSlice
	EndpointPort  = wire.EndpointPort
	Endpoint      = wire.Endpoint
	Node          = wire.Node
)

// ExcludeLabel keeps a node out of load balancers (Node.Excluded).
const ExcludeLabel = wire.ExcludeLabel

// Address families, as in Service.IPFamilies and EndpointSlice.AddressType.
const (
	IPv4 = wire.IPv4
	IPv6 = wire.IPv6
)

// Snapshot is the state of all followed resources. It exists only after one complete list
// of each resource that can be listed; of the others it has Config.Known. It is never
// changed. Unchanged objects keep their pointers from one Snapshot to the next, so that
// equal pointers mean equal content.
type Snapshot struct {
	Services []*Service // sorted by Key
	Nodes    []*Node    // sorted by Name; nil if they are not followed or cannot be listed
	Slices   SliceIndex // by Service (namespace, kubernetes.io/service-name)
	// Unread are the namespaces whose EndpointSlices could not be listed yet, sorted; ""
	// is all namespaces. The endpoints of their Services are not known.
	Unread   []string
	Complete int // number of complete lists of every resource that can be listed before it, at least 1
	// Since is when the oldest change was received that no Snapshot received before
	// contains.
	Since time.Time
}

// EndpointsKnown reports whether the EndpointSlices of a namespace were listed.
func (s *Snapshot) EndpointsKnown(namespace string) bool {
	return !slices.Contains(s.Unread, namespace) && !slices.Contains(s.Unread, "")
}
