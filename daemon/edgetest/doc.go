// SPDX-License-Identifier: Apache-2.0

// Package edgetest runs a whole edge on this machine: a fake cluster with pods that are
// HTTP servers on loopback addresses, a real HAProxy, podgate in this process or in one of
// its own, and clients that send requests without pause. The tests, the demo, the
// benchmarks and chaos use it, and so have the same definition of a failed request; see
// Target.
//
// It sets only the addresses, sockets and files of podgate's configuration. It does not
// import package testing, because the demo is part of the product.
package edgetest
