// SPDX-License-Identifier: Apache-2.0

// Package runtime controls a running HAProxy through its sockets: it observes servers
// and maps, applies a haproxy.Plan, and reloads the configuration.
//
// It writes no file and decides no change: these come from haproxy.Diff. Between two
// calls it remembers only that a socket does not answer.
package runtime
