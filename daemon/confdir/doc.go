// SPDX-License-Identifier: Apache-2.0

// Package confdir is podgate's folder: the configuration, maps and certificates
// that HAProxy loads, and the files in which podgate keeps its state, each in a
// file of this package by its name. Files are replaced atomically. It knows
// nothing of a running HAProxy and decides nothing.
package confdir
