// SPDX-License-Identifier: Apache-2.0

// Package confdir reads and writes podgate's folder: the configuration, maps and
// certificates that HAProxy loads, and podgate's own state files, each of which has a Go
// file of its name here. Files are replaced atomically. It does not speak to HAProxy and
// makes no decisions.
package confdir
