// SPDX-License-Identifier: Apache-2.0

// Package daemon keeps one HAProxy in sync with one cluster: it takes Snapshots
// of the cluster, compiles them to what HAProxy should serve, compares that
// with what it serves, and closes the difference.
//
// It decides what happens when. What a Service means is compile's, how HAProxy
// is written and spoken to are cfgfile's and runtime's.
package daemon
