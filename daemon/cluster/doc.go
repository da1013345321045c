// SPDX-License-Identifier: Apache-2.0

// Package cluster reads from the API server what podgate serves: Services,
// EndpointSlices, Nodes where a Service needs them, and the Secrets that Services
// name. A Follower follows them, ReadOnce lists them once.
//
// It computes nothing from what it read, and knows nothing of HAProxy.
package cluster
