// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"

	"podgate/haproxy"
)

// secured returns want with the secret of its relay. Without a secret there is
// no relay: whoever can connect to it could claim to be anybody.
func (e *edge) secured(ctx context.Context, want haproxy.State) haproxy.State {
	if e.secret == "" {
		secret, err := e.folder.EnsureRelaySecret(func() string {
			running, _ := e.runtime.RelaySecret(ctx) // what does not answer tells no other either
			return running
		})
		if err != nil {
			e.tellRelay(fmt.Sprintf("there is no secret for it: %v", err))
			return want.WithoutRelay()
		}
		e.secret = secret
	}
	return want.WithRelaySecret(e.secret)
}
