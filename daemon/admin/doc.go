// SPDX-License-Identifier: Apache-2.0

// Package admin answers an operator: is it in sync, what does it serve, why not
// this one, what happened at night. It does so over a control socket for the
// command line, and over read-only HTTP: a page, JSON and metrics.
//
// It changes nothing. What it knows of podgate is the View that the loop
// publishes after each pass; nothing leads back into the loop. Of HAProxy it
// asks how it judges the servers of one Service.
package admin
