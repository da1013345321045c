// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"

	"podgate/haproxy"
)

// withRelaySecret returns want with the secret of its relay, or without the relay if there
// is no secret: any program that can connect to the relay could claim any client address.
func (r *Reconciler) withRelaySecret(ctx context.Context, want haproxy.State) haproxy.State {
	if r.relaySecret == "" {
		secret, err := r.dir.EnsureRelaySecret(func() string {
			running, _ := r.runtime.RelaySecret(ctx) // "" if HAProxy does not answer
			return running
		})
		if err != nil {
			r.reportRelay(fmt.Sprintf("no secret: %v", err))
			return want.WithoutRelay()
		}
		r.relaySecret = secret
	}
	return want.WithRelaySecret(r.relaySecret)
}

// reportRelay logs why there is no relay, when that begins.
func (r *Reconciler) reportRelay(reason string) {
	if began, _ := r.noRelay.Set(reason); began {
		r.log.Warn("http.relay is not used, old workers answer their last requests themselves", "reason", reason)
	}
}
