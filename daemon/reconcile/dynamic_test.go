// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"testing"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// TestAPlanWithoutBackendsAsksHAProxyNothing has no session: a query would panic.
func TestAPlanWithoutBackendsAsksHAProxyNothing(t *testing.T) {
	r := &Reconciler{have: haproxy.Running{AddsBackends: true}}
	if err := r.settleBackends(t.Context(), nil, haproxy.Plan{}, runtime.Applied{}); err != nil {
		t.Error(err)
	}
}
