// SPDX-License-Identifier: Apache-2.0

// Package compile computes what HAProxy should serve from podgate.toml and a
// Snapshot of the cluster: Services and their annotations become routes,
// frontends and backends, EndpointSlices become servers.
//
// It does no I/O, reads no clock and logs nothing. Equal input gives equal
// output, whatever the order of objects, slices and endpoints. An invalid Service
// is a Problem of that Service and does not affect the others.
package compile
