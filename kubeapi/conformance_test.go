//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"path/filepath"
	"testing"

	"podgate/kubeapi/kubeapitest/realapi"
)

// TestConformanceFollow holds Follow against a real API server with its
// controllers: whatever happens, the Snapshots come to what a list says, nothing
// is lost on the way there, and the log tells of each trouble once.
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

	// Most of the time of these passes with waiting, so they wait together.
	t.Run("while the API server is well", func(t *testing.T) {
		for _, tt := range []struct {
			name string
			run  func(*testing.T, *space)
		}{
			{"slices are split by named ports", splitByNamedPorts},
			{"a pod terminates and still answers", terminatingPod},
			{"a Service is scaled to zero", scaledToZero},
			{"pods that are not ready are published", publishedNotReady},
			{"a headless Service has no ports and an ExternalName no slice", withoutPortsOrSlices},
			{"slices are mirrored from Endpoints", mirroredSlices},
			{"slices are made by hand", slicesByHand},
			{"pods have an address of either family", dualStack},
			{"a Service is deleted and created anew", createdAnew},
			{"the selector of a Service changes", selectorOfAService},
			{"Services leave and enter the selector that is followed", selectorThatIsFollowed},
			{"there is more than a page", moreThanAPage},
			{"nodes, and a Service with node ports", nodesAndNodePorts},
			{"watches time out under changes", watchTimeouts},
			{"RBAC is withdrawn and given back", accessWithdrawn},
			{"RBAC allows lists and no watches", watchNotAllowed},
			{"a token expires in mid-watch and is replaced late", tokenExpires},
			{"a token is replaced before it expires", tokenRotated},
			{"the ServiceAccount is deleted and created anew", accountCreatedAnew},
			{"a credential plugin is run again when its token is refused", pluginRunAgain},
			{"too many requests are refused", tooManyRequests},
			{"one address falls silent and another does not", addressFallsSilent},
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
		{"the API server is killed and comes back", serverKilled},
		{"the API server is stopped and comes back", serverStopped},
		{"etcd is away under the API server", etcdAway},
		{"a watch goes on from a version that is too old for a new API server", tooOldForTheServer},
		{"etcd is restored from a backup behind connections that stay", etcdRestored},
		{"etcd is compacted under a watch", etcdCompacted},                          // which leaves a server
		{"a list's continue token expires between two pages", continueTokenExpires}, // without a watch cache
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, newSpace(t, cluster)) })
	}
}
