// SPDX-License-Identifier: Apache-2.0

// Package cluster reads objects from the API server: Services, EndpointSlices, Nodes
// if a Service needs them, and the Secrets that Services name. A Follower follows
// changes, ReadOnce lists the objects once.
//
// It does not interpret the objects and does not communicate with HAProxy.
package cluster
