// SPDX-License-Identifier: Apache-2.0

// Package demo shows podgate at work in one terminal, without root, cluster or
// systemd: a fake API server with a small shop of Services, their pods as HTTP
// servers on loopback addresses, a real HAProxy, podgate's own loop between
// them, and clients that never stop while the pods roll, scale and move.
//
// Only the cluster is made up. Nothing here tells podgate what to do, and no
// request is repeated or left out of the count.
package demo
