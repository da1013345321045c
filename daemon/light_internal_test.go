// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// TestNoBackendsAreNotAllOfThem: HAProxy, which is not there, is asked nothing.
func TestNoBackendsAreNotAllOfThem(t *testing.T) {
	e := &edge{have: haproxy.Running{TakesBackends: true}}
	if err := e.takeBackends(t.Context(), nil, haproxy.Plan{}, runtime.Applied{}); err != nil {
		t.Error(err)
	}
}
