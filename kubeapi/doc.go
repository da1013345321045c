// SPDX-License-Identifier: Apache-2.0

// Package kubeapi follows Services and EndpointSlices of a Kubernetes cluster
// over plain REST and emits complete Snapshots of them.
//
// It knows nothing of HAProxy, and does not interpret annotations.
package kubeapi
