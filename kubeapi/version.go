// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"cmp"
	"strings"
)

// compareVersions orders two resourceVersions of one resource as decimals of
// any length (KEP-5504, Kubernetes 1.35). "" is older than any.
func compareVersions(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
