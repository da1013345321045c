//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"path/filepath"
	"testing"

	"podgate/kubeapi/kubeapitest/realapi"
)

// TestConformanceFollow runs Follow with a real API server and its controllers. In every
// row the last Snapshot equals a list, no Snapshot lacks an object that exists, and each
// condition is logged once.
//
// It needs KUBERNETES, the binary that testdata/kubernetes/build.sh prints; "make
// conformance" sets it.
func TestConformanceFollow(t *testing.T) {
	kubernetes := realapi.Binary(t, "KUBERNETES")
	if !realapi.InNamespace(t) {
		return
	}
	cluster := realapi.Start(t, kubernetes, realapi.Config{
		ServerFlags: []string{"--service-cluster-ip-range=10.201.0.0/16,fd00:201::/112"},
		Controllers: []string{"endpointslice-mirroring-controller"},
	})
	cluster.Admin.Apply(t, filepath.Join("..", "packaging", "rbac.yaml"))

	// These mostly wait, so they run at the same time.
	t.Run("while the API server runs", func(t *testing.T) {
		for _, tt := range []struct {
			name string
			run  func(*testing.T, *space)
		}{
			{"a headless Service has no ports and an ExternalName no slice", withoutPortsOrSlices},
			{"slices are mirrored from Endpoints", mirroredSlices},
			{"pods have an address of either family", dualStack},
			{"a Service is deleted and created again", createdAgain},
			{"nodes, and a Service with node ports", nodesAndNodePorts},
			{"watches time out under changes", watchTimeouts},
			{"RBAC is withdrawn and given back", accessWithdrawn},
			{"a token expires during a watch and is replaced late", tokenExpires},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				tt.run(t, newSpace(t, cluster))
			})
		}
	})

	for _, tt := range []struct {
		name string
		run  func(*testing.T, *space)
	}{
		{"the API server is stopped and started", serverStopped},
		{"a watch continues from a version that is too old for the restarted API server", tooOldForTheServer},
		{"etcd is restored from a backup while connections stay open", etcdRestored},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, newSpace(t, cluster)) })
	}
}
