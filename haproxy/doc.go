// SPDX-License-Identifier: Apache-2.0

// Package haproxy is HAProxy's vocabulary as plain values: what it should
// serve (State), what it was seen to serve (Running), and what leads from the
// one to the other (Diff).
//
// It does no I/O, renders no configuration and knows nothing of Kubernetes.
package haproxy
