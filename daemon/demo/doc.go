// SPDX-License-Identifier: Apache-2.0

// Package demo shows podgate at work in one terminal, without root, cluster or
// systemd: a small shop of Services in a fake cluster, a real HAProxy, podgate's
// own loop between them, and clients that never stop while the pods roll, scale
// and move.
//
// Only the cluster is simulated. No code here changes HAProxy, and every request is counted
// and none repeated.
package demo
