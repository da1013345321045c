// SPDX-License-Identifier: Apache-2.0

// Package admin answers operators: whether HAProxy is in sync, what it serves, why
// a Service is not served, and what changed. It does so on a control socket for the
// command line, and over read-only HTTP: a page, JSON and metrics.
//
// It changes nothing. It reads the View that the loop publishes after each pass,
// and never calls the loop. It asks HAProxy for the state of one Service's servers.
package admin
