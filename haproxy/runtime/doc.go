// SPDX-License-Identifier: Apache-2.0

// Package runtime speaks to a running HAProxy through its sockets: it observes
// servers and maps, applies a haproxy.Plan, and has a new configuration loaded.
//
// It writes no file, keeps nothing between two calls but that a socket is dead,
// and decides nothing: what is to be done comes from haproxy.Diff.
package runtime
