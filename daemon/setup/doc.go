// SPDX-License-Identifier: Apache-2.0

// Package setup has haproxy.service load podgate's folder and open a master CLI
// to podgate, by one drop-in file; and says what is in the way of it.
//
// It does not touch the operator's files, nor what systemd and the package of
// HAProxy bring. It restarts HAProxy only when that is asked for by name.
package setup
