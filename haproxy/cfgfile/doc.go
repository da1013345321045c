// SPDX-License-Identifier: Apache-2.0

// Package cfgfile turns a haproxy.State into the bytes of its configuration
// file and its maps. client-native renders the sections and server lines.
//
// It writes no file and talks to no process.
package cfgfile
