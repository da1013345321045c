// SPDX-License-Identifier: Apache-2.0

// Package haproxy describes HAProxy in plain values: what it should serve (State),
// what a process serves (Running), and the changes between the two (Diff).
//
// It does no I/O, renders no configuration and does not know Kubernetes.
package haproxy
