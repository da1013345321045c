// SPDX-License-Identifier: Apache-2.0

// Package compile computes what HAProxy should serve from podgate.toml and a
// Snapshot of the cluster: Services and their annotations become routes,
// frontends and backends, EndpointSlices become servers.
//
// It does no I/O, reads no clock and logs nothing: equal input gives equal
// output, whatever the order in which objects, slices and endpoints stand. A
// Service that cannot be understood is a Problem of that Service and changes
// nothing of the others.
package compile
