// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"time"

	"podgate/kubeapi/wire"
)

// What is read of an object is defined beside its decoders.
type (
	Key           = wire.Key
	Service       = wire.Service
	ServicePort   = wire.ServicePort
	EndpointSlice = wire.EndpointSlice
	EndpointPort  = wire.EndpointPort
	Endpoint      = wire.Endpoint
	Node          = wire.Node
)

// Snapshot is everything that was followed, complete: it exists only after one
// whole list of every resource. It is never changed; unchanged objects keep
// their pointers from one Snapshot to the next, so that equal pointers mean
// equal content.
type Snapshot struct {
	Services []*Service // sorted by Key
	Nodes    []*Node    // sorted by Name; nil where they are not followed, or cannot be listed
	Slices   SliceIndex // by Service (namespace, kubernetes.io/service-name)
	Complete int        // how many complete lists of every resource came before it, from 1
	// Since is when the oldest of the changes came that no Snapshot taken before
	// has.
	Since time.Time
}
