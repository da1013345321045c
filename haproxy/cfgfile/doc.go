// SPDX-License-Identifier: Apache-2.0

// Package cfgfile renders a haproxy.State as the text of its configuration file and
// maps, and parses these texts. client-native renders the sections and server lines.
//
// It writes no file and connects to no process.
package cfgfile
