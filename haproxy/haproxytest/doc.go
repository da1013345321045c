// SPDX-License-Identifier: Apache-2.0

// Package haproxytest runs a real HAProxy in a temporary folder, for tests and for
// "podgate demo". It ends the processes that it started, and no others.
//
// It does not depend on the content of the configuration, and does not import package
// testing.
package haproxytest
