// SPDX-License-Identifier: Apache-2.0

// Package edgetest is one whole edge on this machine: a fake cluster with pods
// that are real HTTP servers on loopback addresses, a real HAProxy, podgate in
// this process or in one of its own, and clients that never stop. The tests, the
// demo, the benchmarks and chaos are built from it, and so agree on what a failed
// request is; see Target.
//
// It decides nothing about podgate's configuration beyond addresses, sockets and
// files, and does not import package testing, because the demo is shipped.
package edgetest
