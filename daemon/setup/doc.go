// SPDX-License-Identifier: Apache-2.0

// Package setup writes a drop-in of haproxy.service, so that HAProxy loads podgate's
// folder and opens a master CLI for podgate. It reports what conflicts with that.
//
// It does not change the operator's files, or those of systemd and of the package
// haproxy. It restarts HAProxy only if the operator demands it.
package setup
