// SPDX-License-Identifier: Apache-2.0

// Package daemon keeps one HAProxy in sync with one cluster. Its loop compiles each
// Snapshot of the cluster to the State that HAProxy should serve, has reconcile
// apply that State, and publishes the result for operators.
//
// It decides when a pass runs. It does not decide what a Service means, which is up
// to compile, and does not speak to HAProxy, which is up to reconcile.
package daemon
