// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"

	"podgate/haproxy"
)

// secured returns want with the secret of its relay. Without a secret there is
// no relay: whoever can connect to it could claim to be anybody.
func (r *Reconciler) secured(ctx context.Context, want haproxy.State) haproxy.State {
	if r.secret == "" {
		secret, err := r.dir.EnsureRelaySecret(func() string {
			running, _ := r.runtime.RelaySecret(ctx) // what does not answer tells no other either
			return running
		})
		if err != nil {
			r.tellRelay(fmt.Sprintf("there is no secret for it: %v", err))
			return want.WithoutRelay()
		}
		r.secret = secret
	}
	return want.WithRelaySecret(r.secret)
}
