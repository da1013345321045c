// SPDX-License-Identifier: Apache-2.0

// Package haproxytest runs a real HAProxy in a folder of its own, for tests and
// for trying things out. It ends the processes that it started and no others.
//
// It knows nothing of what is in the configuration, and links no testing
// package into its importers.
package haproxytest
